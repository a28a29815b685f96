/// When a target is to be cleaned, as it was written: each value a literal or a variable.
package struct SchedulePolicy: Sendable, Hashable {
    /// While its variable is not set, nothing is scheduled.
    package var cron: Knob
    /// Without it, the zone of the expression, or else the machine's.
    package var timeZone: Knob?
    /// Up to how much later than the slot a run begins, so that not everything begins at once.
    package var jitter: Knob?
    /// How long ago a missed slot may be to be run all the same.
    package var catchUp: Knob?
    /// After which a run ends, failed.
    package var timeout: Knob?
}

/// A schedule of the operator's file.
struct NamedSchedule: Sendable {
    var name: String
    var targets: [(name: String, node: ConfigurationNode)]
    var policy: SchedulePolicy
    var node: ConfigurationNode
}
