extension Target {
    /// Identifies what this target deletes: table, key, joins and rule, but neither the values of its knobs nor how it is
    /// cut, which a run keeps for itself.
    ///
    /// A worker whose own definition has another hash must not execute the run's batches. This guards against mistakes (two
    /// versions of a file during a roll-out), not against attackers, who could not gain anything: workers only ever execute
    /// their own catalogue. So FNV-1a, which is a few lines, stable across processes and versions, is enough.
    package var definitionHash: String { DefinitionHash.of(self.canonicalParts) }

    /// The definition; lists have their count before them.
    private var canonicalParts: [String] {
        var parts = ["table", self.table, "key"] + Self.list(self.key)
        for join in self.joins {
            parts += ["join", join.table, "\(join.conditions.count)"]
            for condition in join.conditions {
                parts += Self.parts(condition.left) + ["="] + Self.parts(condition.right)
            }
        }
        if let maxAge = self.rule.maxAge { parts += ["max_age"] + Self.time(maxAge.column) + ["knob"] }
        if let expiresAt = self.rule.expiresAt { parts += ["expires_at"] + Self.time(expiresAt) }
        if let keepNewest = self.rule.keepNewest {
            parts += ["keep_newest", "knob", "per", "\(keepNewest.per.count)"] + keepNewest.per.flatMap(Self.parts)
            parts += ["order"] + Self.list(keepNewest.order)
        }
        if let condition = self.rule.where { parts += ["where", condition] }
        if !self.deferred.isEmpty { parts += ["defer"] + Self.list(self.deferred) }
        // In any order the same; nothing at all without it, so that what was begun before Ebb knew it goes on.
        if !self.protect.isEmpty { parts += ["protect"] + Self.list(self.protect.sorted()) }
        if let leafFirst = self.leafFirst { parts += ["leaf_first", leafFirst] }
        for column in self.unreferenced {
            parts += ["unreferenced", column.table, column.column, column.from ?? ""]
            switch column.place {
            case .schema(let schema): parts += ["schema", schema ?? ""]
            case .group(let group): parts += ["in"] + group.definitionParts
            }
        }
        if let after = self.after {
            parts += ["after", after.update ?? ""]
            if let unlink = after.unlink { parts += ["unlink", unlink.store, unlink.path, unlink.size ?? ""] }
        }
        return parts
    }

    private static func list(_ names: [String]) -> [String] { ["\(names.count)"] + names }

    /// An own column by its name alone, as before columns of joined tables were possible: hashes outlive versions.
    private static func time(_ column: Column) -> [String] {
        column.table == nil ? [column.name] : ["of"] + Self.parts(column)
    }

    private static func parts(_ column: Column) -> [String] {
        [column.table.map { ".\($0)" } ?? "own", column.name]
    }
}

extension ObjectTarget {
    /// Identifies what this target deletes, with all that is no knob; where its store is, a run keeps for itself.
    package var definitionHash: String {
        var parts = ["objects", self.prefix, self.keys.text, "references", "\(self.references.count)"]
        for reference in self.references { parts += [reference.schema ?? "", reference.table, reference.column] }
        if let quarantine { parts += ["quarantine", DurationText.format(quarantine)] }
        if let leftovers { parts += ["leftovers", leftovers.prefix, DurationText.format(leftovers.age)] }
        if let multipart { parts += ["multipart", DurationText.format(multipart)] }
        return DefinitionHash.of(parts)
    }
}

/// Hashes definitions.
private enum DefinitionHash {
    /// FNV-1a of the parts, each with its length before it, so that no two lists give the same text.
    static func of(_ parts: [String]) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in parts.map({ "\($0.utf8.count):\($0)" }).joined().utf8 {
            hash ^= UInt64(byte)
            hash &*= 0x0000_0100_0000_01B3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
