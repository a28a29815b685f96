/// What a sweep has seen and done.
package struct SweepReport: Codable, Sendable, Equatable {
    package enum Outcome: String, Codable, Sendable {
        /// Every key that was there from beginning to end has been looked at.
        case finished
        /// It was told to stop; what it has deleted is deleted.
        case stopped
        /// Another sweeper is at work, or the last sweep ended too recently.
        case elsewhere
    }

    package var outcome: Outcome
    /// The name of the layout.
    package var layout: String
    /// Whether an index told which sessions may be over, and no others were looked at.
    package var isPartial = false
    /// Keys that were looked at; more than there are when Redis names a key twice, as it may while it resizes.
    package var examined = 0
    /// Sessions that were over at the instant at which they were looked at.
    package var expired = 0
    package var deleted = 0
    package var skipped = Skipped()
    /// How long ago the session was used, or was over, that has not been for the longest.
    @OrNull package var oldestSeconds: Int? = nil
    /// How many sessions, expired ones included, were used, or were over, how long ago.
    package var ages: [Age] = []
    package var events = Events()
    package var seconds = 0.0
    /// When it is `elsewhere`: how long until the other's lease lapses, if nobody renews it, or the next sweep is due; not in JSON.
    package var wait = Duration.zero

    package init(outcome: Outcome, layout: String) {
        self.outcome = outcome
        self.layout = layout
    }

    /// Keys of the layout's pattern that are no sessions, by why.
    package struct Skipped: Codable, Sendable, Equatable {
        /// Without a time, such as notes about tokens that are no good.
        package var markers = 0
        /// Not to be read.
        package var malformed = 0
        /// Of another type, or about another token.
        package var foreign = 0
        /// Redis will remove them itself.
        package var hasTTL = 0
        /// Deleted by somebody else after they were found.
        package var gone = 0

        private enum CodingKeys: String, CodingKey {
            case markers, malformed, foreign, gone
            case hasTTL = "has_ttl"
        }
    }

    /// One bar of the histogram.
    package struct Age: Codable, Sendable, Equatable {
        /// The oldest that it counts; nil for all that are older than the others.
        @OrNull package var upToSeconds: Int? = nil
        package var sessions: Int

        private enum CodingKeys: String, CodingKey {
            case sessions
            case upToSeconds = "up_to_seconds"
        }
    }

    package struct Events: Codable, Sendable, Equatable {
        /// In the product's database, by this sweep.
        package var written = 0
        /// Kept for the next sweep, because the database could not be written to.
        package var waiting = 0
        /// Not kept, because too many were waiting.
        package var dropped = 0
        /// What the database said.
        @OrNull package var error: String? = nil
    }

    private enum CodingKeys: String, CodingKey {
        case outcome, layout, examined, expired, deleted, skipped, ages, events, seconds
        case isPartial = "partial"
        case oldestSeconds = "oldest_seconds"
    }
}

extension SweepReport {
    /// What the event log is told of it.
    var event: EbbEvent {
        EbbEvent(
            .sweep,
            subject: self.layout,
            status: self.outcome.rawValue,
            description: "\(self.outcome.rawValue), \(self.deleted) deleted of \(self.examined) sessions",
            progress: self.outcome == .finished ? 100 : 0,
            counts: ["examined": self.examined, "expired": self.expired, "deleted": self.deleted],
            error: self.events.error
        )
    }
}

extension SweepReport: CustomStringConvertible {
    /// A few lines for people.
    package var description: String {
        if self.outcome == .elsewhere {
            return "sessions (\(self.layout)): another sweeper is at work, or was just now"
        }
        let rate = self.seconds > 0 ? ", \(Int(Double(self.examined) / self.seconds)) keys/s" : ""
        var lines = [
            "sessions (\(self.layout)): \(self.examined) \(self.isPartial ? "due ones " : "")examined, \(self.expired) expired, \(self.deleted) deleted"
                + " in \((self.seconds * 100).rounded() / 100) s\(rate)" + (self.outcome == .stopped ? "; stopped" : "")
        ]
        let skipped = [
            (self.skipped.markers, "without a time"), (self.skipped.malformed, "malformed"),
            (self.skipped.foreign, "foreign"), (self.skipped.hasTTL, "with a TTL"),
            (self.skipped.gone, "gone meanwhile"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        if !skipped.isEmpty { lines.append("skipped: " + skipped.joined(separator: ", ")) }
        if let oldestSeconds {
            lines.append("oldest: \(DurationText.format(.seconds(oldestSeconds)))")
            lines.append("ages: " + self.ages.map(Self.words).joined(separator: ", "))
        }
        if self.events != Events() {
            lines.append(
                "events: \(self.events.written) written, \(self.events.waiting) waiting, \(self.events.dropped) dropped"
                    + (self.events.error.map { " (\($0))" } ?? "")
            )
        }
        return lines.joined(separator: "\n")
    }

    private static func words(_ age: Age) -> String {
        let bound = age.upToSeconds.map { "up to \(DurationText.format(.seconds($0)))" } ?? "older"
        return "\(bound) \(age.sessions)"
    }
}
