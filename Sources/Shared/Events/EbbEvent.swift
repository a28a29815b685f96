package import FoundationEssentials

/// Something that happened, as `producer events` tells it.
package struct EbbEvent: Sendable, Hashable {
    /// Given by the event log, and greater for what came later; empty before that.
    package var id = ""
    package var topic: String
    /// The run, the procedure, or the layout of sessions.
    package var subject: String
    /// Empty for what is not about a target, and likewise `schema`.
    package var target: String
    package var schema: String
    package var status: String
    /// One sentence or less, for people.
    package var description: String
    /// 0 to 100.
    package var progress: Double
    package var counts: [String: Int]
    package var error: String?

    package init(
        _ topic: Topic,
        subject: String,
        target: String = "",
        schema: String = "",
        status: String,
        description: String = "",
        progress: Double = 0,
        counts: [String: Int] = [:],
        error: String? = nil
    ) {
        self.topic = topic.rawValue
        self.subject = subject
        self.target = target
        self.schema = schema
        self.status = status
        self.description = description
        self.progress = progress
        self.counts = counts
        self.error = error
    }

    /// What an event is about.
    package enum Topic: String, Sendable, CaseIterable {
        /// It is planned from the beginning, also when Redis had lost it before anything of it was done.
        case runCreated = "run.created"
        /// It goes on after a pause, after it had failed, or after Redis had lost it.
        case runResumed = "run.resumed"
        case runPaused = "run.paused"
        case runFinished = "run.finished"
        case runFailed = "run.failed"
        case runCancelled = "run.cancelled"
        /// A procedure begins, goes on, or ends.
        case maintenance
        /// A stage of a procedure begins or ends.
        case stage
        /// Sessions were swept, and some deleted.
        case sweep
    }

    /// When it was told, by the clock of Redis; nil before that.
    package var time: Date? {
        self.id.split(separator: "-").first.flatMap { Double($0) }.map { Date(timeIntervalSince1970: $0 / 1_000) }
    }
}

extension EbbEvent {
    /// As the stream keeps it.
    var fields: [(name: String, value: String)] {
        [
            ("topic", self.topic), ("subject", self.subject), ("target", self.target), ("schema", self.schema),
            ("status", self.status), ("description", self.description), ("progress", "\(self.progress)"),
            ("counts", Self.text(of: self.counts)), ("error", self.error ?? ""),
        ]
    }

    /// An entry of the stream; a field that is missing, as an older Ebb's may be, is empty.
    init(id: String, fields: [String: String]) {
        func text(_ name: String) -> String { fields[name] ?? "" }
        self.id = id
        self.topic = text("topic")
        self.subject = text("subject")
        self.target = text("target")
        self.schema = text("schema")
        self.status = text("status")
        self.description = text("description")
        self.progress = Double(text("progress")) ?? 0
        self.counts = Self.counts(of: text("counts"))
        self.error = text("error").isEmpty ? nil : text("error")
    }

    private static func text(of counts: [String: Int]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        do { return String(decoding: try encoder.encode(counts), as: UTF8.self) } catch {
            preconditionFailure("JSON refused integers by name: \(error)")
        }
    }

    private static func counts(of text: String) -> [String: Int] {
        // What is no such object, Ebb has not written; the event's other fields are worth showing all the same.
        do { return try JSONDecoder().decode([String: Int].self, from: Data(text.utf8)) } catch { return [:] }
    }
}

extension EbbEvent: Encodable {
    private enum CodingKeys: String, CodingKey {
        case id, time, topic, subject, target, schema, status, description, progress, counts, error
    }

    /// Every name is always there; what is not known is null.
    package func encode(to encoder: any Encoder) throws {
        func known(_ text: String) -> String? { text.isEmpty ? nil : text }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.id, forKey: .id)
        try container.encode(
            self.time?.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)),
            forKey: .time
        )
        try container.encode(self.topic, forKey: .topic)
        try container.encode(self.subject, forKey: .subject)
        try container.encode(known(self.target), forKey: .target)
        try container.encode(known(self.schema), forKey: .schema)
        try container.encode(self.status, forKey: .status)
        try container.encode(self.description, forKey: .description)
        try container.encode(self.progress, forKey: .progress)
        try container.encode(self.counts, forKey: .counts)
        try container.encode(self.error, forKey: .error)
    }
}
