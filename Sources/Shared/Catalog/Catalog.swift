/// All targets: those of the presets that are on, and the operator's own.
package struct Catalog: Sendable {
    /// Targets of both kinds, by name.
    package private(set) var entries: [CatalogEntry]
    /// What targets of objects refer to.
    package let stores: [StoreDefinition]
    /// Groups of schemas that targets may be in.
    package let schemaGroups: [SchemaGroup]
    /// Names that a product had once, with the reason why they are gone.
    package let removed: [String: String]
    /// The names of the targets that presets have.
    package let ofPresets: Set<String>

    /// The targets whose rows are in a table, by name.
    package var targets: [Target] {
        self.entries.compactMap { if case .table(let target) = $0 { target } else { nil } }
    }

    /// Reads the shipped catalogues that are on, and the `targets` and `stores` of the operator's file.
    package static func load(
        presets: [String],
        file: ConfigurationFile?
    ) throws(ConfigurationError) -> Catalog {
        var entries: [String: CatalogEntry] = [:]
        var removed: [String: String] = [:]
        var origin: [String: Preset] = [:]
        var known = CatalogParser.Known()
        for name in presets {
            guard let preset = Preset(rawValue: name) else {
                throw ConfigurationError("unknown preset \(name); accepted: \(Preset.names.joined(separator: ", "))")
            }
            let file = try ConfigurationFile(name: preset.fileName, yaml: preset.yaml)
            known.stores += try StoreParser.stores(of: file)
            known.groups += try SchemaGroupParser.groups(of: file)
            let result = try CatalogParser.targets(ofPreset: file, known)
            for (entry, _) in result.targets {
                entries[entry.name] = entry
                origin[entry.name] = preset
            }
            removed.merge(result.removed) { first, _ in first }
        }
        if let file {
            func claim(_ name: String, in section: String, taken: [String]) throws(ConfigurationError) {
                guard taken.contains(name) else { return }
                throw ConfigurationError(
                    name: "\(file.name): \(section).\(name)",
                    problem: "a preset already has one of this name; accepted: another name"
                )
            }
            for store in try StoreParser.stores(of: file) {
                try claim(store.name, in: StoreParser.section, taken: known.stores.map(\.name))
                known.stores.append(store)
            }
            for group in try SchemaGroupParser.groups(of: file) {
                try claim(group.name, in: SchemaGroupParser.section, taken: known.groups.map(\.name))
                known.groups.append(group)
            }
            let own = try CatalogParser.targets(of: file, known, changing: Set(origin.keys))
            for change in own.changes {
                entries[change.target] = try change.applied(to: entries[change.target])
            }
            for (entry, node) in own.targets {
                // Taking the operator's would change silently what a shipped name deletes.
                if let preset = origin[entry.name] {
                    throw node.error(
                        "the preset \(preset.rawValue) already has a target of this name; "
                            + "accepted: another name, presets without \(preset.rawValue), or nothing but protect here, which "
                            + "it keeps in addition"
                    )
                }
                entries[entry.name] = entry
            }
        }
        return Catalog(
            entries: entries.values.sorted { $0.name < $1.name },
            stores: known.stores,
            schemaGroups: known.groups,
            removed: removed.filter { entries[$0.key] == nil },
            ofPresets: Set(origin.keys)
        )
    }

    /// The catalogue of a loaded configuration.
    package static func load(_ configuration: EbbConfiguration) throws(ConfigurationError) -> Catalog {
        var catalog = try Self.load(presets: configuration.presets, file: configuration.file)
        catalog.entries = catalog.entries.map { entry in
            guard case .objects(var target) = entry else { return entry }
            // A preset leaves it to the operator.
            target.quarantine = target.quarantine ?? configuration.storage.quarantine
            target.mayBeUnreferenced = configuration.keepNothing.contains(target.name)
            return .objects(target)
        }
        return catalog
    }

    /// What a run's target is by this catalogue, also of a run that drains another target's children; nil when there is none.
    package func definition(of name: String) -> Target? {
        self.targets.lazy.flatMap { [$0] + $0.drainFirst }.first { $0.name == name }
    }

    /// The target of objects of that name; nil when there is none.
    package func objects(of name: String) -> ObjectTarget? {
        if case .objects(let target)? = self.entries.first(where: { $0.name == name }) { target } else { nil }
    }

    /// The target that an operator names; case counts.
    package func entry(named name: String) throws(ConfigurationError) -> CatalogEntry {
        if let entry = self.entries.first(where: { $0.name == name }) { return entry }
        if let reason = self.removed[name] {
            throw ConfigurationError("the target \(name) no longer exists: \(reason)")
        }
        let hint = NearestName.of(name, among: self.entries.map(\.name)).map { "; did you mean \($0)?" } ?? ""
        throw ConfigurationError("unknown target \(name)\(hint) (producer targets lists all)")
    }

    /// As ``entry(named:)``, of which the target must be one of a table.
    package func target(named name: String) throws(ConfigurationError) -> Target {
        guard case .table(let target) = try self.entry(named: name) else {
            throw ConfigurationError("the target \(name) has objects and no table")
        }
        return target
    }
}
