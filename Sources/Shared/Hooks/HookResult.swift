/// What became of a hook; goes into the summary of the procedure that called it, and holds no secret.
package struct HookResult: Sendable, Hashable, Encodable {
    package var hook: String
    package var outcome: Outcome
    /// Why it failed, was skipped or is off.
    @OrNull package var reason: String? = nil
    /// The HTTP code, or the exit code of the program.
    @OrNull package var code: Int? = nil
    package var milliseconds = 0
    /// Of the answer or the output, as far as it was read.
    package var bytes = 0
    /// An excerpt of the answer or the output.
    package var output = ""
    /// Tries made.
    package var attempts = 0

    package init(hook: String, outcome: Outcome, reason: String? = nil) {
        self.hook = hook
        self.outcome = outcome
        self.reason = reason
    }

    package enum Outcome: String, Sendable, Hashable, Encodable {
        case done
        case failed
        /// It succeeded too short a time ago.
        case skipped
        /// It is switched off, or something that it needs is not set.
        case off
    }
}

/// What a try of a hook brought.
struct HookAttempt: Sendable {
    /// nil for success.
    var failure: HTTPExchange.Failure?
    var code: Int?
    var bytes = 0
    var output: [UInt8] = []

    private static let longestExcerpt = 1_000

    /// Beginning and end of the output, for people.
    ///
    /// - `secrets`: hidden wherever they turn up.
    func excerpt(without secrets: [String]) -> String {
        let text = Self.hide(secrets, in: String(decoding: self.output, as: UTF8.self))
        guard text.count > Self.longestExcerpt else { return text }
        return text.prefix(Self.longestExcerpt / 2) + " … " + text.suffix(Self.longestExcerpt / 2)
    }

    static func hide(_ secrets: [String], in text: String) -> String {
        // The longest first: one may be part of another.
        secrets.sorted { $0.count > $1.count }.reduce(text) { $0.replacing($1, with: "(hidden)") }
    }
}
