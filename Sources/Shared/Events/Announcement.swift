/// How another system is told of a procedure: a row of a table of its own, and a message on a channel of its own.
package struct Announcement: Sendable, Hashable {
    /// What the other system calls it.
    package var topic: String
    /// Makes the row, with status `in_progress`.
    package var insert: BoundText
    /// Changes it.
    package var update: BoundText
    /// Where what the statements return is published; nil for nowhere.
    package var channel: VariableText?
    /// While it is not true, nobody is told.
    package var enabled: VariableText?

    /// The values that a statement may use.
    package enum Value: String, Sendable, Hashable, CaseIterable {
        /// A UUID in its usual form.
        case id
        case topic
        /// `in_progress`, `finished` or `failed`.
        case status
        case description
        /// 0 to 100.
        case progress
        /// JSON.
        case summary
    }

    /// SQL in which `{name}` stands for a value; values are bound, never part of the text.
    package struct BoundText: Sendable, Hashable {
        /// With `$1`, `$2`, … in place of the names.
        package let sql: String
        /// The value of each of them.
        ///
        /// Each place has a parameter of its own, so that each may have a type of its own.
        package let values: [Value]

        /// Braces around anything else than a value's name stay as they are.
        package init(_ text: String) {
            var values: [Value] = []
            self.sql = text.replacing(/\{([a-z]+)\}/) { match in
                guard let value = Value(rawValue: String(match.1)) else { return String(match.0) }
                values.append(value)
                return "$\(values.count)"
            }
            self.values = values
        }
    }
}

extension Announcement {
    /// The announcements of the presets that are on, and of the operator's file.
    ///
    /// - Throws: `ConfigurationError`, also when the file has a topic of a preset's.
    package static func load(_ configuration: EbbConfiguration) throws(ConfigurationError) -> [Announcement] {
        try PresetSection.load(configuration, what: "announcement", AnnouncementParser.announcements) { $0.topic }
    }
}

/// Reads the `announce` section of a configuration file or a preset.
enum AnnouncementParser {
    /// The key of the file under which announcements stand.
    static let section = "announce"

    private static let acceptedSQL =
        "one SQL statement, in which "
        + Announcement.Value.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ") + " are values"

    static func announcements(of file: ConfigurationFile) throws(ConfigurationError) -> [Announcement] {
        var announcements: [Announcement] = []
        for section in try file.root.entries() where section.key == Self.section {
            for entry in try section.value.entries() { announcements.append(try Self.announcement(entry)) }
        }
        return announcements
    }

    private static func announcement(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> Announcement {
        let fields = try entry.value.fields(["insert", "update", "publish", "enabled"])
        let channel = try fields["publish"]?.fields(["channel"]).required("channel", accepted: "a channel of Redis")
        return Announcement(
            topic: entry.key,
            insert: try Self.statement("insert", fields),
            update: try Self.statement("update", fields),
            channel: try channel.map { (node) throws(ConfigurationError) in
                VariableText(try node.text(accepted: "a channel of Redis"))
            },
            enabled: try HookParser.flag(fields["enabled"])
        )
    }

    private static func statement(
        _ key: String,
        _ fields: ConfigurationNode.Fields
    ) throws(ConfigurationError) -> Announcement.BoundText {
        let node = try fields.required(key, accepted: Self.acceptedSQL)
        let text = Announcement.BoundText(try node.text(accepted: Self.acceptedSQL))
        guard text.values.contains(.id) else {
            throw node.error("the statement does not say which row it means; accepted: \(Self.acceptedSQL)")
        }
        return text
    }
}
