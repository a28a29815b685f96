package import Foundation

/// An ordered list of stages, run one after the other.
package struct Procedure: Sendable {
    package var stages: [Stage]
    /// In which the stages' windows are read: its own, that of its schedule, or that of the schedule's expression.
    package var zone: TimeZone
    /// When `producer serve` runs it; nil for never by itself.
    package var schedule: SchedulePolicy?

    /// The stage that an operator names; case counts.
    ///
    /// - `option`: what named it, for the error.
    package func stage(named name: String, option: String) throws(ConfigurationError) -> Stage {
        if let stage = self.stages.first(where: { $0.name == name }) { return stage }
        let names = self.stages.map(\.name)
        let hint = NearestName.of(name, among: names).map { "; did you mean \($0)?" } ?? ""
        throw ConfigurationError(
            "\(option): the procedure has no stage \(name)\(hint) (its stages: \(names.joined(separator: ", ")))"
        )
    }
}

/// One stage of a procedure, with the values of its settings.
package struct Stage: Sendable, Hashable {
    /// What it does, unless it has a name of its own.
    package var name: String
    package var work: StageWork
    /// Why it does not run; nil for one that is on.
    package var off: String?
    package var onFailure = OnFailure.continue
    /// After which it ends, failed; nil for no limit.
    package var timeout: Duration?
    /// The time of day at which it may run; nil for any.
    package var window: DailyWindow?
    /// In place of the target's own; nil leaves that.
    package var maxAge: Duration?
    package var keep: Int?

    /// What a failure means for the stages after it.
    package enum OnFailure: String, Sendable, Hashable, CaseIterable {
        case `continue`
        case stop
    }
}

/// What a stage does.
package enum StageWork: Sendable, Hashable {
    /// Runs of the target of that name, one for each schema that it is in.
    case target(String)
    /// Removes expired sessions.
    case sweep(String)
    /// Calls the hook of that name.
    case hook(String)
    /// Creates the missing indexes of the group of that name.
    case index(String)
    case vacuum(VacuumScope)

    /// The keys under which they are written.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case target
        case sweep
        case hook
        case index
        case vacuum
    }

    package var kind: Kind {
        switch self {
        case .target: .target
        case .sweep: .sweep
        case .hook: .hook
        case .index: .index
        case .vacuum: .vacuum
        }
    }

    /// The only thing that is swept.
    static let sessions = "sessions"

    /// What it works on, in one word.
    package var subject: String {
        switch self {
        case .target(let name), .sweep(let name), .hook(let name), .index(let name): name
        case .vacuum(let scope): scope.tables == nil ? VacuumScope.touched : "tables"
        }
    }
}

/// Which tables a stage vacuums, and how.
package struct VacuumScope: Sendable, Hashable {
    /// `table` or `schema.table`; nil for those that the procedure has deleted rows from.
    package var tables: [String]?
    /// Whether tables are written anew, which locks out everybody else meanwhile.
    package var full: Bool

    /// The word for the tables that the procedure has deleted rows from.
    static let touched = "touched"
}
