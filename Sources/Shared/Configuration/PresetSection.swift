/// Reads what both presets and the operator's file may define, under names that must not meet.
enum PresetSection {
    /// - `what`: what is defined, for errors.
    /// - `parse`: reads it from one file.
    /// - Throws: `ConfigurationError`.
    static func load<Definition>(
        _ configuration: EbbConfiguration,
        what: String,
        _ parse: (ConfigurationFile) throws(ConfigurationError) -> [Definition],
        name: (Definition) -> String
    ) throws(ConfigurationError) -> [Definition] {
        var definitions: [Definition] = []
        for preset in configuration.presets.compactMap(Preset.init(rawValue:)) {
            definitions += try parse(try ConfigurationFile(name: preset.fileName, yaml: preset.yaml))
        }
        guard let file = configuration.file else { return definitions }
        for definition in try parse(file) {
            guard !definitions.contains(where: { name($0) == name(definition) }) else {
                throw ConfigurationError(
                    name: file.name,
                    problem: "a preset already has the \(what) \(name(definition)); accepted: another name"
                )
            }
            definitions.append(definition)
        }
        return definitions
    }
}

extension EbbConfiguration {
    /// Where targets, procedures and what belongs to them are defined: the presets that are on, then the operator's file.
    func definitionFiles() throws(ConfigurationError) -> [ConfigurationFile] {
        var files: [ConfigurationFile] = []
        for preset in self.presets.compactMap(Preset.init(rawValue:)) {
            files.append(try ConfigurationFile(name: preset.fileName, yaml: preset.yaml))
        }
        return files + [self.file].compactMap { $0 }
    }
}

extension Services {
    /// The variables that presets and the operator's file name.
    var definitionVariables: [String] {
        // What cannot be read has stopped the program before this.
        do { return try self.configuration.definitionFiles().flatMap(\.root.variables) } catch { return [] }
    }
}

extension ConfigurationNode {
    /// The variables that texts in it name, as `${NAME}` or `${NAME:-value}`.
    fileprivate var variables: [String] {
        switch self.content {
        case .empty: []
        case .scalar(let text): text.matches(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)/).map { String($0.1) }
        case .list(let items): items.flatMap(\.variables)
        case .mapping(let entries): entries.flatMap(\.value.variables)
        }
    }
}
