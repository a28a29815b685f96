/// All targets: those of the presets that are on, and the operator's own.
package struct Catalog: Sendable {
    /// By name.
    package let targets: [Target]
    /// Names that a product had once, with the reason why they are gone.
    package let removed: [String: String]

    /// Reads the shipped catalogues that are on, and the `targets` of the operator's file.
    package static func load(
        presets: [String],
        file: ConfigurationFile?
    ) throws(ConfigurationError) -> Catalog {
        var targets: [String: Target] = [:]
        var removed: [String: String] = [:]
        var origin: [String: Preset] = [:]
        for name in presets {
            guard let preset = Preset(rawValue: name) else {
                throw ConfigurationError("unknown preset \(name); accepted: \(Preset.names.joined(separator: ", "))")
            }
            let file = try ConfigurationFile(name: preset.fileName, yaml: preset.yaml)
            let result = try CatalogParser.targets(ofPreset: file)
            for (target, _) in result.targets {
                targets[target.name] = target
                origin[target.name] = preset
            }
            removed.merge(result.removed) { first, _ in first }
        }
        for (target, node) in try file.map(CatalogParser.targets(of:))?.targets ?? [] {
            // Taking the operator's would change silently what a shipped name deletes.
            if let preset = origin[target.name] {
                throw node.error(
                    "the preset \(preset.rawValue) already has a target of this name; "
                        + "accepted: another name, or presets without \(preset.rawValue)"
                )
            }
            targets[target.name] = target
        }
        return Catalog(
            targets: targets.values.sorted { $0.name < $1.name },
            removed: removed.filter { targets[$0.key] == nil }
        )
    }

    /// The catalogue of a loaded configuration.
    package static func load(_ configuration: EbbConfiguration) throws(ConfigurationError) -> Catalog {
        try Self.load(presets: configuration.presets, file: configuration.file)
    }

    /// What a run's target is by this catalogue, also of a run that drains another target's children; nil when there is none.
    package func definition(of name: String) -> Target? {
        self.targets.lazy.flatMap { [$0] + $0.drainFirst }.first { $0.name == name }
    }

    /// Whether a target is the operator's own, and not a preset's.
    func isOperators(_ name: String, _ configuration: EbbConfiguration) -> Bool {
        guard let file = configuration.file else { return false }
        do { return try CatalogParser.targets(of: file).targets.contains { $0.target.name == name } } catch {
            // The catalogue was made from this very file.
            return true
        }
    }

    /// The target that an operator names; case counts.
    package func target(named name: String) throws(ConfigurationError) -> Target {
        if let target = self.targets.first(where: { $0.name == name }) { return target }
        if let reason = self.removed[name] {
            throw ConfigurationError("the target \(name) no longer exists: \(reason)")
        }
        let hint = NearestName.of(name, among: self.targets.map(\.name)).map { "; did you mean \($0)?" } ?? ""
        throw ConfigurationError("unknown target \(name)\(hint) (producer targets lists all)")
    }
}
