/// Reads the targets of a configuration file or a preset.
struct CatalogParser {
    /// The key of the file under which targets stand.
    static let section = "targets"

    /// What a file defines.
    struct Result {
        var targets: [(target: CatalogEntry, node: ConfigurationNode)] = []
        /// To targets of presets.
        var changes: [TargetChange] = []
        /// Names that the product no longer has, with the reason.
        var removed: [String: String] = [:]
    }

    private static let keys = [
        "schema", "in", "table", "key", "joins", "max_age", "expires_at", "keep_newest", "where", "protect",
        UnreferencedParser.key, "order", "strategy", "defer", "drain_first", AfterParser.key, ScheduleParser.key,
    ]
    private static let removed = "removed"
    static let acceptedTarget = "a letter and then up to 62 letters, digits, underscores or hyphens"
    private static let acceptedKey = "the column, or the list of columns, that identifies a row"

    private static let acceptedProtect = "the table, or the list of tables, whose rows keep those that they refer to"

    /// What targets may refer to, by its name.
    struct Known {
        var stores: [StoreDefinition] = []
        var groups: [SchemaGroup] = []
    }

    /// Reads the `targets` of the operator's file, and leaves the settings in it alone.
    ///
    /// - `known`: of the file itself and of all presets.
    /// - `presets`: the names of the targets that presets have, to which the file may add what keeps rows.
    static func targets(
        of file: ConfigurationFile,
        _ known: Known,
        changing presets: Set<String>
    ) throws(ConfigurationError) -> Result {
        var result = Result()
        for entry in try file.root.entries() where entry.key == Self.section {
            for target in try entry.value.entries() {
                if presets.contains(target.key), try target.value.entries().map(\.key) == ["protect"] {
                    let node = try target.value.fields(["protect"])["protect"]
                    let change = TargetChange(
                        target: target.key,
                        protect: try Self.protect(node),
                        node: target.value
                    )
                    result.changes.append(change)
                } else {
                    result.targets.append((try Self.entry(target, known), target.value))
                }
            }
        }
        return result
    }

    /// What a preset may hold besides targets; others read it.
    private static let sections = [
        StoreParser.section, SchemaGroupParser.section, HookParser.section, AnnouncementParser.section,
        ProcedureParser.section, IndexGroup.section, Roles.section,
    ]

    /// Reads a preset, which holds no settings, and may say that a target is gone.
    static func targets(ofPreset file: ConfigurationFile, _ known: Known) throws(ConfigurationError) -> Result {
        var result = Result()
        guard let section = try file.root.fields([Self.section] + Self.sections)[Self.section] else {
            return result
        }
        for entry in try section.entries() {
            if try entry.value.entries().contains(where: { $0.key == Self.removed }) {
                let reason = try entry.value.fields([Self.removed]).required(Self.removed, accepted: "why")
                result.removed[entry.key] = try reason.text(accepted: "why the target is gone")
            } else {
                result.targets.append((try Self.entry(entry, known), entry.value))
            }
        }
        return result
    }

    static func isTargetName(_ text: String) -> Bool {
        text.wholeMatch(of: /[A-Za-z][A-Za-z0-9_-]{0,62}/) != nil
    }

    private static func entry(
        _ entry: ConfigurationNode.Entry,
        _ known: Known
    ) throws(ConfigurationError) -> CatalogEntry {
        guard Self.isTargetName(entry.key) else {
            throw entry.value.error("\"\(entry.key)\" is not a target's name; accepted: \(Self.acceptedTarget)")
        }
        if try entry.value.entries().contains(where: { $0.key == ObjectTargetParser.mark }) {
            return .objects(try ObjectTargetParser().target(entry, stores: known.stores))
        }
        return .table(try Self.target(entry, known))
    }

    private static func target(
        _ entry: ConfigurationNode.Entry,
        _ known: Known
    ) throws(ConfigurationError) -> Target {
        let node = entry.value
        let fields = try node.fields(Self.keys)
        let table = try fields.required("table", accepted: "the table to clean").parse(
            accepted: NameScanner.acceptedName,
            NameScanner.name
        )
        let joins = try JoinParser(table: table).joins(fields["joins"])
        let columns = ColumnParser(table: table, joins: joins)
        let key = try columns.ownColumns(
            fields.required("key", accepted: Self.acceptedKey),
            accepted: Self.acceptedKey
        )
        var target = Target(
            name: entry.key,
            schema: try fields["schema"]?.parse(accepted: NameScanner.acceptedName, NameScanner.name),
            group: try Self.group(fields, known),
            table: table,
            key: key,
            joins: joins,
            rule: try RuleParser(columns: columns).rule(fields),
            protect: try Self.protect(fields["protect"], table: table),
            leafFirst: try Self.leafFirst(fields["order"]),
            unreferenced: try UnreferencedParser(columns: columns, key: key, groups: known.groups).columns(fields),
            strategy: try Self.strategy(fields["strategy"]),
            deferred: try Self.names(fields["defer"], accepted: "the list of constraints to defer"),
            schedule: try ScheduleParser.policy(fields[ScheduleParser.key])
        )
        if let node = fields[AfterParser.key] {
            target.after = try AfterParser(key: key, stores: known.stores).after(node)
        }
        try Self.checkStrategy(of: target, fields["strategy"])
        if let node = fields["drain_first"], !target.protect.isEmpty || !target.unreferenced.isEmpty {
            let other = target.protect.isEmpty ? UnreferencedParser.key : "protect"
            throw node.error(
                "drain_first would delete children of rows that \(other) keeps; accepted: one of the two in a target"
            )
        }
        if let node = fields["drain_first"], target.leafFirst != nil {
            throw node.error(
                "drain_first would delete children of rows that leaf_first keeps; accepted: one of the two in a target"
            )
        }
        if let node = fields["drain_first"] { target.drainFirst = try DrainParser(parent: target).drains(node) }
        return target
    }

    private static func group(
        _ fields: ConfigurationNode.Fields,
        _ known: Known
    ) throws(ConfigurationError) -> SchemaGroup? {
        guard let node = fields["in"] else { return nil }
        if let schema = fields["schema"] {
            throw schema.error("the target is in each schema of a group already; accepted: one of in and schema")
        }
        return try SchemaGroupParser.group(named: node, among: known.groups)
    }

    /// `protect: [table, …]`; that they refer to the target's table is for the database to say.
    ///
    /// - `table`: the target's own, where it is known.
    private static func protect(
        _ node: ConfigurationNode?,
        table: String? = nil
    ) throws(ConfigurationError) -> [String] {
        guard let node else { return [] }
        var names: [String] = []
        for (text, item) in try node.texts(accepted: Self.acceptedProtect) {
            let name = try item.parse(accepted: NameScanner.acceptedName, NameScanner.name)
            guard name != table, !names.contains(name) else {
                let problem = name == table ? "is the target's own table" : "is listed twice"
                throw item.error("\"\(text)\" \(problem); accepted: \(Self.acceptedProtect)")
            }
            names.append(name)
        }
        guard !names.isEmpty else { throw node.error("the list is empty; accepted: \(Self.acceptedProtect)") }
        return names
    }

    /// `order: leaf_first(column)`.
    private static func leafFirst(_ node: ConfigurationNode?) throws(ConfigurationError) -> String? {
        let accepted = "leaf_first(column), with the column by which a row refers to another of its table"
        return try node?.parse(accepted: accepted) { (text) throws(RejectedValue) in
            guard let match = text.wholeMatch(of: /\s*leaf_first\s*\((.+)\)\s*/) else {
                throw RejectedValue(text, "is not an order", accepted: accepted)
            }
            return try NameScanner.name(String(match.1))
        }
    }

    private static func strategy(_ node: ConfigurationNode?) throws(ConfigurationError) -> Strategy? {
        let accepted = Strategy.ofTables.map(\.rawValue).joined(separator: ", ")
        return try node?.parse(accepted: accepted) { (text) throws(RejectedValue) in
            guard let strategy = Strategy(rawValue: text), Strategy.ofTables.contains(strategy) else {
                throw RejectedValue(text, "is not a strategy", accepted: accepted)
            }
            return strategy
        }
    }

    private static func names(
        _ node: ConfigurationNode?,
        accepted: String
    ) throws(ConfigurationError) -> [String] {
        var names: [String] = []
        for (_, item) in try node?.texts(accepted: accepted) ?? [] {
            names.append(try item.parse(accepted: NameScanner.acceptedName, NameScanner.name))
        }
        return names
    }

    /// Refuses a strategy that has nothing to cut by; the planner judges the rest, which needs the database.
    private static func checkStrategy(of target: Target, _ node: ConfigurationNode?) throws(ConfigurationError) {
        let missing: String? =
            switch target.strategy {
            case .window where target.rule.timeColumn == nil:
                "max_age or expires_at by a column of the target's own table"
            case .group where target.rule.keepNewest == nil: "keep_newest"
            case .idRange where target.key.count > 1: "a key of one column"
            case .block, .window, .idRange, .group, .key, .prefix, nil: nil
            }
        if let node, let strategy = target.strategy, let missing {
            throw node.error("\"\(strategy.rawValue)\" needs \(missing); accepted: another strategy, or none")
        }
    }
}
