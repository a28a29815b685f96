extension EbbConfiguration {
    /// The variable that names the configuration file.
    package static let fileVariable = "EBB_CONFIG"

    /// Reads the file that `EBB_CONFIG` names, if it does, and then the environment, which wins.
    package static func load(environment: Environment) throws(ConfigurationError) -> EbbConfiguration {
        var configuration = EbbConfiguration()
        // Where each setting was written, for sentences about settings that do not fit together.
        var sources: [String: String] = [:]
        if let path = try environment.value(Self.fileVariable) {
            let file = try ConfigurationFile.read(path: path, variable: Self.fileVariable)
            try configuration.apply(file.root, prefix: "", sources: &sources)
            configuration.file = file
        }
        for setting in Setting.all {
            guard let text = try environment.value(setting.variable) else { continue }
            try configuration.apply(setting, setting.words(in: text), source: setting.variable)
            sources[setting.key] = setting.variable
        }
        try configuration.validate(sources)
        return configuration
    }

    /// What of the file others read.
    private static let sections =
        [
            CatalogParser.section, ScheduleParser.section, StoreParser.section, HookParser.section,
            AnnouncementParser.section, SchemaGroupParser.section, ProcedureParser.section, IndexGroup.section,
            Roles.section,
        ] + SessionLayoutParser.fields.map { "\(SessionLayoutParser.section).\($0)" }

    /// Walks the file along the dots of the settings' keys.
    private mutating func apply(
        _ node: ConfigurationNode,
        prefix: String,
        sources: inout [String: String]
    ) throws(ConfigurationError) {
        for entry in try node.entries() {
            var key = prefix + entry.key
            // The short form of a section that has a preset.
            if case .scalar = entry.value.content, Setting.all.contains(where: { $0.key == key + ".preset" }) {
                key += ".preset"
            }
            if let setting = Setting.all.first(where: { $0.key == key }) {
                try self.apply(setting, entry.value)
                sources[key] = entry.value.place.description
            } else if Setting.all.contains(where: { $0.key.hasPrefix(key + ".") }) {
                try self.apply(entry.value, prefix: key + ".", sources: &sources)
            } else if !Self.sections.contains(key) {
                let others = Self.sections.filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
                let accepted = Setting.keys(after: prefix) + others.filter { !$0.contains(".") }.map(String.init)
                throw entry.value.unknownKey(entry.key, accepted: accepted)
            }
        }
    }

    private mutating func apply(_ setting: Setting, _ node: ConfigurationNode) throws(ConfigurationError) {
        guard setting.isList else {
            let text = try node.text(accepted: setting.accepted)
            return try self.apply(setting, [text], source: node.place.description)
        }
        let words = try node.texts(accepted: setting.accepted).map(\.text)
        try self.apply(setting, words, source: node.place.description)
    }

    private mutating func apply(_ setting: Setting, _ words: [String], source: String) throws(ConfigurationError) {
        do {
            try setting.store(&self, words)
        } catch {
            throw ConfigurationError(name: source, rejected: error)
        }
    }

    /// Refuses settings that are fine one by one but not together.
    private func validate(_ sources: [String: String]) throws(ConfigurationError) {
        let statement = self.batches.statementTimeout
        let idle = self.batches.idleTimeout
        // A worker that lost its lease but not its database connection lives at most this long; were the lease shorter,
        // the batch could be executed a second time while the first is still at it.
        guard statement + idle < self.leases.duration else {
            let keys = ["leases.duration", "batches.statement_timeout", "batches.idle_timeout"]
            throw ConfigurationError(
                name: keys.compactMap { sources[$0] }.first ?? keys[0],
                problem: "leases.duration (\(DurationText.format(self.leases.duration))) is not longer than "
                    + "batches.statement_timeout (\(DurationText.format(statement))) plus "
                    + "batches.idle_timeout (\(DurationText.format(idle))); "
                    + "accepted: a lease longer than their sum, so that no batch outlives its lease"
            )
        }
        guard self.batches.backoff <= self.batches.maxBackoff else {
            let keys = ["batches.backoff", "batches.max_backoff"]
            throw ConfigurationError(
                name: keys.compactMap { sources[$0] }.first ?? keys[0],
                problem: "batches.backoff (\(DurationText.format(self.batches.backoff))) is longer than "
                    + "batches.max_backoff (\(DurationText.format(self.batches.maxBackoff))); "
                    + "accepted: a first pause no longer than the longest"
            )
        }
    }
}
