/// Why a value is not accepted, without the name of the thing that holds it.
///
/// Parsers of values throw this; only their caller knows whether the value came from a variable, a line of a file or a
/// command's option, and turns it into a ``ConfigurationError`` with that name.
package struct RejectedValue: Error, Hashable {
    /// `"ten" is not a duration; accepted: …`, to follow the name and a colon.
    package let reason: String

    /// - Parameters:
    ///   - value: the text as the user wrote it.
    ///   - problem: what is wrong, to follow the value: `is not a duration`.
    ///   - accepted: what would have been right.
    package init(_ value: String, _ problem: String, accepted: String) {
        self.reason = "\"\(value)\" \(problem); accepted: \(accepted)"
    }

    private init(reason: String) { self.reason = reason }

    /// The same where one thing more would have been right.
    func accepting(also other: String) -> RejectedValue { RejectedValue(reason: "\(self.reason), or \(other)") }

    /// For values that may hold a password: the value is never part of the sentence.
    package init(secret problem: String, accepted: String) {
        self.reason = "the value (not shown, it may hold a password) \(problem); accepted: \(accepted)"
    }
}
