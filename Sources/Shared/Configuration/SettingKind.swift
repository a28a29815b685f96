import Logging

/// How a kind of setting is read, written and described.
struct SettingKind<Value: Sendable>: Sendable {
    let accepted: String
    let parse: @Sendable (String) throws(RejectedValue) -> Value
    let format: @Sendable (Value) -> String
}

extension SettingKind where Value == Duration {
    /// A duration within limits.
    static func duration(from least: Duration, to most: Duration) -> SettingKind {
        let limits = "\(DurationText.format(least)) to \(DurationText.format(most))"
        let accepted = "a duration from \(limits), such as 250ms, 90s or 1h30m"
        return SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                let duration = try DurationText.parse(text)
                guard duration >= least else { throw RejectedValue(text, "is too short", accepted: accepted) }
                guard duration <= most else { throw RejectedValue(text, "is too long", accepted: accepted) }
                return duration
            },
            format: DurationText.format
        )
    }
}

extension SettingKind where Value == Duration? {
    /// A duration within limits, or a word for none.
    static func duration(from least: Duration, to most: Duration, or word: String) -> SettingKind {
        let duration = SettingKind<Duration>.duration(from: least, to: most)
        return SettingKind(
            accepted: "\(duration.accepted), or \(word)",
            parse: { (text) throws(RejectedValue) in text == word ? nil : try duration.parse(text) },
            format: { $0.map(DurationText.format) ?? word }
        )
    }
}

extension SettingKind where Value == Int {
    /// A whole number within limits.
    static func number(_ limits: ClosedRange<Int>) -> SettingKind {
        let accepted = "a whole number from \(limits.lowerBound) to \(limits.upperBound)"
        return SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                guard let number = Int(text), limits.contains(number) else {
                    throw RejectedValue(text, "is not such a number", accepted: accepted)
                }
                return number
            },
            format: { "\($0)" }
        )
    }
}

extension SettingKind where Value == Int? {
    /// A whole number within limits, or a word for none.
    static func number(_ limits: ClosedRange<Int>, or word: String) -> SettingKind {
        let number = SettingKind<Int>.number(limits)
        let accepted = "\(number.accepted), or \(word)"
        return SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                guard text != word else { return nil }
                guard let number = Int(text), limits.contains(number) else {
                    throw RejectedValue(text, "is not such a number", accepted: accepted)
                }
                return number
            },
            format: { $0.map { "\($0)" } ?? word }
        )
    }
}

extension SettingKind where Value == Bool {
    /// A switch, in all spellings.
    static var onOff: SettingKind {
        SettingKind(accepted: FlagText.accepted, parse: FlagText.parse, format: { $0 ? "on" : "off" })
    }
}

extension SettingKind where Value == String {
    /// One of a fixed set of words.
    static func word(_ words: [String], what: String) -> SettingKind {
        let accepted = words.joined(separator: ", ")
        return SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                guard words.contains(text) else { throw RejectedValue(text, "is not a \(what)", accepted: accepted) }
                return text
            },
            format: { $0 }
        )
    }

    /// A target's name; whether there is such a target, is not asked.
    static var targetName: SettingKind {
        SettingKind(
            accepted: CatalogParser.acceptedTarget,
            parse: { (text) throws(RejectedValue) in
                guard CatalogParser.isTargetName(text) else {
                    throw RejectedValue(text, "is not a target's name", accepted: CatalogParser.acceptedTarget)
                }
                return text
            },
            format: { $0 }
        )
    }

    /// A name that is safe in a schema's name and in a Redis key, and short enough for PostgreSQL's 63 bytes with room.
    static var namespace: SettingKind {
        let accepted = "a lower-case letter and then up to 30 lower-case letters, digits or underscores"
        return SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                guard text.wholeMatch(of: /[a-z][a-z0-9_]{0,30}/) != nil else {
                    throw RejectedValue(text, "is not a namespace", accepted: accepted)
                }
                return text
            },
            format: { $0 }
        )
    }
}

extension SettingKind where Value == String? {
    /// A URL that may hold a password: no error ever shows it.
    static func url(_ accepted: String, isAccepted: @escaping @Sendable (String) -> Bool) -> SettingKind {
        SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                guard isAccepted(text) else {
                    let problem = text.isEmpty ? "is empty" : "is no such URL"
                    throw RejectedValue(secret: problem, accepted: accepted)
                }
                return text
            },
            format: { $0 == nil ? "" : "(secret)" }
        )
    }
}

extension SettingKind where Value == Logger.Level {
    static var level: SettingKind {
        let accepted = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        return SettingKind(
            accepted: accepted,
            parse: { (text) throws(RejectedValue) in
                guard let level = Logger.Level(rawValue: text) else {
                    throw RejectedValue(text, "is not a log level", accepted: accepted)
                }
                return level
            },
            format: \.rawValue
        )
    }
}
