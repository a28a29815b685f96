import Foundation

/// How a value of a schedule is read: in YAML and in a variable, always the same way.
struct ScheduleText<Value: Sendable>: Sendable {
    let accepted: String
    let parse: @Sendable (String) throws(RejectedValue) -> Value
}

extension ScheduleText where Value == CronExpression? {
    /// `off` is nil: what a preset's variable has by default can be switched off.
    static var cron: ScheduleText {
        ScheduleText(accepted: CronExpression.accepted) { (text) throws(RejectedValue) in
            text == "off" ? nil : try CronExpression(text)
        }
    }
}

extension ScheduleText where Value == TimeZone {
    static var zone: ScheduleText {
        ScheduleText(accepted: "a time zone such as UTC or Europe/Berlin") { (text) throws(RejectedValue) in
            try CronExpression.zone(named: text)
        }
    }
}

extension ScheduleText where Value == Duration {
    /// Zero is possible, and says: none.
    static var span: ScheduleText {
        let accepted = "a duration, such as 5m or 24h, or 0s for none"
        return ScheduleText(accepted: accepted) { (text) throws(RejectedValue) in
            let duration = try DurationText.parse(text)
            guard duration >= .zero else { throw RejectedValue(text, "is negative", accepted: accepted) }
            return duration
        }
    }

    /// Not zero, as in Distr: it would read as "none" to some and as "at once" to others.
    static var timeout: ScheduleText {
        ScheduleText(accepted: DurationText.acceptedPositive) { (text) throws(RejectedValue) in
            try DurationText.parsePositive(text)
        }
    }
}
