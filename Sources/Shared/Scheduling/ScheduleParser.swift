/// Reads schedules: those of the operator's file, and the one that a target may have of its own.
enum ScheduleParser {
    /// The key of the file under which schedules stand.
    static let section = "schedules"
    /// The key of a target under which its own schedule stands.
    static let key = "schedule"

    private static let policyKeys = ["cron", "time_zone", "jitter", "catch_up", "timeout"]
    private static let acceptedName = "a letter and then up to 62 letters, digits, underscores or hyphens"
    private static let acceptedTargets = "the target, or the list of targets, that it cleans"

    /// `schedules: {nightly: {cron: "0 3 * * *", targets: [A, B], …}}`.
    static func schedules(of file: ConfigurationFile) throws(ConfigurationError) -> [NamedSchedule] {
        var schedules: [NamedSchedule] = []
        for section in try file.root.entries() where section.key == Self.section {
            for entry in try section.value.entries() { schedules.append(try Self.schedule(entry)) }
        }
        return schedules
    }

    private static func schedule(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> NamedSchedule {
        let node = entry.value
        guard entry.key.wholeMatch(of: /[A-Za-z][A-Za-z0-9_-]{0,62}/) != nil else {
            throw node.error("\"\(entry.key)\" is not a schedule's name; accepted: \(Self.acceptedName)")
        }
        let fields = try node.fields(["targets"] + Self.policyKeys)
        var targets: [(name: String, node: ConfigurationNode)] = []
        let list = try fields.required("targets", accepted: Self.acceptedTargets)
        for (text, item) in try list.texts(accepted: Self.acceptedTargets) {
            guard !targets.contains(where: { $0.name == text }) else {
                throw item.error("\"\(text)\" is listed twice; accepted: each target once")
            }
            targets.append((text, item))
        }
        guard !targets.isEmpty else { throw list.error("the list is empty; accepted: \(Self.acceptedTargets)") }
        return NamedSchedule(name: entry.key, targets: targets, policy: try Self.policy(fields), node: node)
    }

    /// The `schedule` of a target.
    static func policy(_ node: ConfigurationNode?) throws(ConfigurationError) -> SchedulePolicy? {
        guard let node else { return nil }
        return try Self.policy(node.fields(Self.policyKeys))
    }

    private static func policy(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> SchedulePolicy {
        let cron = try fields.required("cron", accepted: CronExpression.accepted)
        var policy = SchedulePolicy(
            cron: try cron.knob(ScheduleText.cron)
        )
        policy.timeZone = try Self.optional(fields["time_zone"], ScheduleText.zone)
        policy.jitter = try Self.optional(fields["jitter"], ScheduleText.span)
        policy.catchUp = try Self.optional(fields["catch_up"], ScheduleText.span)
        policy.timeout = try Self.optional(fields["timeout"], ScheduleText.timeout)
        return policy
    }

    private static func optional<Value>(
        _ node: ConfigurationNode?,
        _ kind: ScheduleText<Value>
    ) throws(ConfigurationError) -> Knob? {
        try node?.knob(kind)
    }
}
