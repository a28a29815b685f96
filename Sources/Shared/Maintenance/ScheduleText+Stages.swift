/// How the values of stages and roles are read.
extension ScheduleText where Value == Bool {
    static var onOff: ScheduleText { ScheduleText(accepted: FlagText.accepted, parse: FlagText.parse) }

    /// Empty is on: what a shell's `${NAME:-true}` makes of it.
    static var role: ScheduleText {
        ScheduleText(accepted: FlagText.accepted) { (text) throws(RejectedValue) in
            text.isEmpty ? true : try FlagText.parse(text)
        }
    }
}

extension ScheduleText where Value == DailyWindow {
    static var window: ScheduleText {
        ScheduleText(accepted: DailyWindow.accepted) { (text) throws(RejectedValue) in try DailyWindow(text) }
    }
}

extension ScheduleText where Value == Int {
    static var count: ScheduleText { ScheduleText(accepted: KnobText.acceptedCount, parse: KnobText.count) }
}

extension ScheduleText where Value == Stage.OnFailure {
    static var onFailure: ScheduleText {
        let accepted = Stage.OnFailure.allCases.map(\.rawValue).joined(separator: " or ")
        return ScheduleText(accepted: accepted) { (text) throws(RejectedValue) in
            guard let value = Stage.OnFailure(rawValue: text) else {
                throw RejectedValue(text, "is not possible", accepted: accepted)
            }
            return value
        }
    }
}
