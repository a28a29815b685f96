/// What keys behind a target's prefix look like, as a regular expression that has to match all of them.
package struct KeyPattern: Sendable, Hashable {
    package let text: String
    /// The number of digits when keys are just hexadecimal digits, as digests are; their listing can then be cut.
    package let hexDigits: Int?

    static let accepted = "a regular expression for a whole key behind the prefix, such as \"[0-9a-f]{64}\""

    /// - Throws: `RejectedValue` for what is no regular expression, or matches a key of nothing.
    package init(_ text: String) throws(RejectedValue) {
        self.text = text
        self.hexDigits = text.wholeMatch(of: /\[0-9a-f\]\{(\d{1,4})\}/).flatMap { Int($0.1) }
        let regex: Regex<AnyRegexOutput>
        do { regex = try Regex(text) } catch {
            throw RejectedValue(text, "is no regular expression", accepted: Self.accepted)
        }
        // A pattern that was left empty by mistake would otherwise make the prefix itself a key.
        guard Self.matches("", regex) == false else {
            throw RejectedValue(text, "matches an empty key", accepted: Self.accepted)
        }
    }

    /// Tells which texts are keys; made once for many, since an expression is compiled.
    package func matcher() -> (Substring) -> Bool {
        if let count = self.hexDigits {
            return { text in
                text.utf8.count == count
                    && text.utf8.allSatisfy {
                        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
                    }
            }
        }
        let regex: Regex<AnyRegexOutput>
        do { regex = try Regex(self.text) } catch { preconditionFailure("a pattern that was accepted: \(error)") }
        return { text in Self.matches(text, regex) == true }
    }

    /// nil for a text that the expression cannot decide on.
    private static func matches(_ text: Substring, _ regex: Regex<AnyRegexOutput>) -> Bool? {
        do { return try regex.wholeMatch(in: text) != nil } catch { return nil }
    }
}
