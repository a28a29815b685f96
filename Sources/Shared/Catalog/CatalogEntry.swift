/// A target of either kind: rows of a table, or objects of a storage.
package enum CatalogEntry: Sendable, Hashable {
    case table(Target)
    case objects(ObjectTarget)

    package var name: String {
        switch self {
        case .table(let target): target.name
        case .objects(let target): target.name
        }
    }

    /// The schemas that it is cleaned in, one run each; nil when it has one place.
    package var group: SchemaGroup? {
        switch self {
        case .table(let target): target.group
        case .objects: nil
        }
    }

    /// The same in one schema of its group.
    package func inSchema(_ schema: String) -> CatalogEntry {
        guard case .table(var target) = self else { return self }
        target.schema = schema
        return .table(target)
    }

    /// The knobs that it reads.
    package var knobs: [Knob] {
        switch self {
        case .table(let target): target.knobs
        case .objects(let target): [target.minAge]
        }
    }

    /// A schedule of its own; nil without one.
    package var schedule: SchedulePolicy? {
        switch self {
        case .table(let target): target.schedule
        case .objects(let target): target.schedule
        }
    }

    /// Whether it can run, and with which knobs.
    ///
    /// - `maxAge`, `keep`: of the command line, in place of the target's own.
    /// - `keepNothing`: the targets that may keep 0 rows.
    package func resolveKnobs(
        environment: Environment,
        stores: Stores,
        maxAge: Duration? = nil,
        keep: Int? = nil,
        keepNothing: [String] = []
    ) throws(ConfigurationError) -> TargetSwitch {
        switch self {
        case .table(let target):
            if let unlink = target.after?.unlink,
                case .off(let reason) = try stores.destination(named: unlink.store)
            {
                return .off(reason: reason)
            }
            return try target.resolveKnobs(
                environment: environment,
                maxAge: maxAge,
                keep: keep,
                keepNothing: keepNothing
            )
        case .objects(let target):
            if case .off(let reason) = try stores.store(named: target.store) { return .off(reason: reason) }
            return try target.resolveKnobs(environment: environment, maxAge: maxAge, keep: keep)
        }
    }

    /// The rule for people; see ``Target/ruleInWords(_:)``.
    package func ruleInWords(_ values: KnobValues? = nil) -> String {
        switch self {
        case .table(let target): target.ruleInWords(values)
        case .objects(let target): target.ruleInWords(values)
        }
    }
}
