import Foundation

/// What a schedule lets happen.
package enum ScheduledWork: Sendable, Hashable {
    /// Runs of the target.
    case target(CatalogEntry)
    /// A run of the procedure, with these stages.
    case procedure([Stage])

    /// The name of the target.
    package var name: String {
        switch self {
        case .target(let target): target.name
        case .procedure: ScheduleEntry.procedure
        }
    }

    /// Whether it is the procedure.
    package var isProcedure: Bool { if case .procedure = self { true } else { false } }
}

/// One target of one schedule, or the procedure: what fires by itself.
package struct ScheduleEntry: Sendable {
    /// The schedule's name; a target's own schedule is named after the target, the procedure's is called as it is.
    package let schedule: String
    package let work: ScheduledWork
    /// nil while the schedule is off.
    package let timing: ScheduleTiming?
    /// The values of the target's knobs, or why it is off; they are not looked up while the schedule is off, and this
    /// says why it is.
    package let knobs: TargetSwitch
    /// Why nothing runs: the variable of schedule or target that is not set; nil when all are.
    package let reason: String?
}

extension ScheduleEntry {
    /// What the procedure is called where others name a target.
    static let procedure = ProcedureParser.section

    /// All schedules with their values from the environment, by name and target.
    ///
    /// A target's own schedule comes from its definition, which is how a preset names the variables of the product it is for.
    ///
    /// A target whose schedule is off is not looked at: what is wrong with it is said when it is asked for.
    ///
    /// - Throws: `ConfigurationError` for a value of a schedule, or of a target whose schedule is on, that is set and
    ///   unusable, an empty one included, and for an unknown target.
    package static func load(
        _ configuration: EbbConfiguration,
        catalog: Catalog,
        environment: Environment
    ) throws(ConfigurationError) -> [ScheduleEntry] {
        let stores = Stores(
            definitions: catalog.stores,
            environment: environment,
            limits: configuration.storage
        )
        func resolver(_ policy: SchedulePolicy, _ place: String) -> ScheduleResolver {
            ScheduleResolver(
                policy: policy,
                place: place,
                environment: environment,
                stores: stores,
                keepNothing: configuration.keepNothing
            )
        }
        var entries: [ScheduleEntry] = []
        for target in catalog.entries {
            guard let policy = target.schedule else { continue }
            let place = "targets.\(target.name).\(ScheduleParser.key)"
            entries.append(try resolver(policy, place).entry(target.name, .target(target)))
        }
        for schedule in try configuration.file.map(ScheduleParser.schedules) ?? [] {
            let place = "\(ScheduleParser.section).\(schedule.name)"
            let resolver = resolver(schedule.policy, place)
            for (name, node) in schedule.targets {
                let target: CatalogEntry
                do { target = try catalog.entry(named: name) } catch { throw node.error(error.description) }
                guard !entries.contains(where: { $0.schedule == schedule.name && $0.work.name == name }) else {
                    throw schedule.node.error(
                        "the target \(name) has a schedule of its own, which is called the same; accepted: another name"
                    )
                }
                entries.append(try resolver.entry(schedule.name, .target(target)))
            }
        }
        let procedure = try Procedure.load(configuration, catalog: catalog, environment: environment)
        if let procedure, let policy = procedure.schedule {
            guard !entries.contains(where: { $0.schedule == Self.procedure }) else {
                throw ConfigurationError(
                    "the procedure's own schedule is called \(Self.procedure); accepted: another name for the schedule or target "
                        + "that is called the same"
                )
            }
            let resolver = resolver(policy, "\(Self.procedure).\(ScheduleParser.key)")
            entries.append(try resolver.entry(Self.procedure, .procedure(procedure.stages)))
        }
        return entries.sorted { ($0.schedule, $0.work.name) < ($1.schedule, $1.work.name) }
    }
}

/// Reads the values of one schedule.
private struct ScheduleResolver {
    let policy: SchedulePolicy
    /// What errors about literals call it.
    let place: String
    let environment: Environment
    let stores: Stores
    /// The targets that may keep 0 rows.
    let keepNothing: [String]

    func entry(_ schedule: String, _ work: ScheduledWork) throws(ConfigurationError) -> ScheduleEntry {
        let setting = try self.value(self.policy.cron, .cron)
        let zone = try self.optional(self.policy.timeZone, .zone)
        let jitter = try self.optional(self.policy.jitter, .span)
        let catchUp = try self.optional(self.policy.catchUp, .span)
        let timeout = try self.optional(self.policy.timeout, .timeout)
        // Not set, or off.
        guard case let cron?? = setting else {
            let reason = "\(self.policy.cron.variableName ?? "cron") is \(setting == nil ? "not set" : "off")"
            return ScheduleEntry(
                schedule: schedule,
                work: work,
                timing: nil,
                knobs: .off(reason: reason),
                reason: reason
            )
        }
        if let named = cron.zone, let zone, named != zone {
            throw ConfigurationError(
                name: self.place,
                problem: "the expression \"\(cron.text)\" and time_zone name different zones; accepted: one of them"
            )
        }
        var effective = cron.zone ?? zone
        if effective == nil { effective = try self.environment.timeZone() }
        let timing = ScheduleTiming(
            schedule: schedule,
            target: work.name,
            cron: cron,
            zone: effective ?? .gmt,
            jitter: jitter ?? .zero,
            catchUp: catchUp ?? ScheduleTiming.defaultCatchUp,
            timeout: timeout
        )
        let knobs = try self.knobs(of: work)
        var reason: String?
        if case .off(let why) = knobs { reason = why }
        return ScheduleEntry(schedule: schedule, work: work, timing: timing, knobs: knobs, reason: reason)
    }

    private func knobs(of work: ScheduledWork) throws(ConfigurationError) -> TargetSwitch {
        switch work {
        case .procedure: return .on(KnobValues())
        case .target(let target):
            return try target.resolveKnobs(
                environment: self.environment,
                stores: self.stores,
                keepNothing: self.keepNothing
            )
        }
    }

    private func optional<Value>(_ knob: Knob?, _ kind: ScheduleText<Value>) throws(ConfigurationError) -> Value? {
        guard let knob else { return nil }
        return try self.value(knob, kind)
    }

    /// nil for a variable that is not set.
    private func value<Value>(_ knob: Knob, _ kind: ScheduleText<Value>) throws(ConfigurationError) -> Value? {
        try knob.value(kind, place: self.place, in: self.environment)
    }
}

extension Knob {
    /// Its value; nil for a variable that is not set and has no other value.
    ///
    /// - `place`: what errors about literals call it.
    func value<Value>(
        _ kind: ScheduleText<Value>,
        place: String,
        in environment: Environment
    ) throws(ConfigurationError) -> Value? {
        let name: String
        let text: String
        switch self {
        case .literal(let literal): (name, text) = (place, literal)
        case .variable(let variable, let otherwise, _):
            guard let value = try environment.value(variable) ?? otherwise else { return nil }
            (name, text) = (variable, value)
        }
        do {
            return try kind.parse(text)
        } catch {
            throw ConfigurationError(name: name, rejected: error)
        }
    }
}
