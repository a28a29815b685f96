import Foundation

extension Procedure {
    /// The procedure with its values from the environment; nil when none is defined.
    ///
    /// The operator's file may define stages of its own, or change single settings of a preset's. Its schedule and zone win, too.
    ///
    /// - Throws: `ConfigurationError` for a value that is set and unusable, one of a hook that a stage calls included, and for a
    ///   target, hook or group of indexes that does not exist.
    package static func load(
        _ configuration: EbbConfiguration,
        catalog: Catalog,
        environment: Environment
    ) throws(ConfigurationError) -> Procedure? {
        var found: ProcedureParser.Definition?
        for file in try configuration.definitionFiles() {
            guard let definition = try ProcedureParser.definition(of: file) else { continue }
            let isOperators = file.name == configuration.file?.name
            if definition.stages != nil, found?.stages != nil, !isOperators {
                throw definition.place.error(
                    "another preset has a procedure, too; accepted: stages of your own in the file that EBB_CONFIG names"
                )
            }
            var merged = definition
            merged.stages = definition.stages ?? found?.stages
            // Changes of stages that this file does not define itself.
            if definition.stages == nil { merged.changes = (found?.changes ?? []) + definition.changes }
            merged.zone = definition.zone ?? found?.zone
            merged.schedule = definition.schedule ?? found?.schedule
            found = merged
        }
        guard let found, var stages = found.stages else { return nil }
        for change in found.changes {
            guard let position = stages.firstIndex(where: { $0.name == change.name }) else {
                throw change.node.unknownKey(change.name, accepted: stages.map(\.name))
            }
            try change.settings.check(stages[position].work.kind)
            stages[position].settings.apply(change.settings)
        }
        let place = ProcedureParser.section
        var zone = try (found.zone ?? found.schedule?.timeZone)?.value(.zone, place: place, in: environment)
        if zone == nil {
            let cron = try found.schedule?.cron.value(.cron, place: "\(place).\(ScheduleParser.key)", in: environment)
            zone = cron??.zone
        }
        if zone == nil { zone = try environment.timeZone() }
        let hooks = try Hook.load(configuration)
        let indexes = try Self.indexGroups(configuration, catalog).map(\.name)
        var resolved: [Stage] = []
        for stage in stages {
            try Self.check(stage, catalog: catalog, hooks: hooks.map(\.name), indexes: indexes)
            let values = try Self.stage(stage, environment)
            if values.off == nil, case .hook(let name) = stage.work {
                // What is wrong with it is told now, and not when its turn comes.
                for hook in hooks where hook.name == name {
                    _ = try hook.resolve(environment, [:], isOffline: configuration.offline)
                }
            }
            resolved.append(values)
        }
        var schedule = found.schedule
        if schedule?.timeZone == nil { schedule?.timeZone = found.zone }
        return Procedure(stages: resolved, zone: zone ?? .gmt, schedule: schedule)
    }

    /// All groups of indexes, those of the presets first.
    package static func indexGroups(
        _ configuration: EbbConfiguration,
        _ catalog: Catalog
    ) throws(ConfigurationError) -> [IndexGroup] {
        let known = catalog.schemaGroups
        return try PresetSection.load(
            configuration,
            what: "group of indexes",
            { (file) throws(ConfigurationError) in try IndexGroup.groups(of: file, among: known) },
            name: { $0.name }
        )
    }

    private static func check(
        _ stage: ProcedureParser.StageDefinition,
        catalog: Catalog,
        hooks: [String],
        indexes: [String]
    ) throws(ConfigurationError) {
        func check(_ name: String, among names: [String], _ what: String) throws(ConfigurationError) {
            guard !names.contains(name) else { return }
            let hint = NearestName.of(name, among: names).map { "; did you mean \($0)?" } ?? ""
            throw stage.node.error("there is no \(what) \(name)\(hint)")
        }
        switch stage.work {
        case .target(let name):
            do { _ = try catalog.entry(named: name) } catch { throw stage.node.error(error.description) }
        case .index(let name): try check(name, among: indexes, "group of indexes")
        case .hook(let name): try check(name, among: hooks, "hook")
        case .sweep(let name): try check(name, among: [StageWork.sessions], "sweep of")
        case .vacuum: return
        }
    }

    private static func stage(
        _ definition: ProcedureParser.StageDefinition,
        _ environment: Environment
    ) throws(ConfigurationError) -> Stage {
        let place = definition.node.place.description
        func value<Value>(_ knob: Knob?, _ kind: ScheduleText<Value>) throws(ConfigurationError) -> Value? {
            try knob?.value(kind, place: place, in: environment)
        }
        let settings = definition.settings
        var stage = Stage(name: definition.name, work: definition.work)
        if let knob = settings.enabled {
            switch try value(knob, .onOff) {
            case true?: break
            case false?: stage.off = "it is switched off"
            case nil: stage.off = "the variable of \"enabled\" is not set"
            }
        }
        stage.onFailure = try value(settings.onFailure, .onFailure) ?? .continue
        stage.timeout = try value(settings.timeout, .timeout)
        stage.window = try value(settings.window, .window)
        stage.maxAge = try value(settings.maxAge, .timeout)
        stage.keep = try value(settings.keep, .count)
        return stage
    }
}

extension ConfigurationNode {
    /// A literal that is checked at once, or a variable.
    func knob<Value>(_ kind: ScheduleText<Value>) throws(ConfigurationError) -> Knob {
        try self.parse(accepted: "\(kind.accepted), or ${NAME} for a variable") { (text) throws(RejectedValue) in
            try KnobText.knob(text) { (text) throws(RejectedValue) in _ = try kind.parse(text) }
        }
    }
}

extension Services {
    /// The procedure, with its values from the environment; nil when none is defined.
    ///
    /// - Throws: `ConfigurationError`, also when a target cannot be what its stage says.
    package func procedure() throws(ConfigurationError) -> Procedure? {
        let procedure = try Procedure.load(self.configuration, catalog: self.catalog, environment: self.environment)
        for stage in procedure?.stages ?? [] where stage.off == nil {
            guard case .target(let name) = stage.work else { continue }
            _ = try self.resolve(self.catalog.entry(named: name), maxAge: stage.maxAge, keep: stage.keep)
        }
        return procedure
    }

    /// The indexes that its stages may name.
    package func indexGroups() throws(ConfigurationError) -> [IndexGroup] {
        try Procedure.indexGroups(self.configuration, self.catalog)
    }

    /// What `producer start` is to do.
    package func roles() throws(ConfigurationError) -> Roles {
        try Roles.load(self.configuration, environment: self.environment)
    }
}
