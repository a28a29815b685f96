/// SQL of the operator's own with placeholders for what a run knows.
///
/// - `{schema}`: the run's schema as an identifier; `{schema_name}`: the same as a text.
/// - `{now}`: the run's creation, a `timestamptz` that stays the same however long the run lasts.
/// - `{keys}`: the keys of deleted rows as `text[]`, where there are any.
///
/// Any other brace is left alone: JSON and arrays have them, too.
package struct SQLTemplate: Sendable, Hashable {
    package let text: String

    package init(_ text: String) { self.text = text }

    /// The text with its placeholders filled in, all at once: what is put in is not looked through again.
    ///
    /// - `now`: as `RunTerms.createdAt` is written.
    /// - `keys`: SQL in place of `{keys}`; nil leaves it alone.
    package func render(schema: String, now: String, keys: String? = nil) -> String {
        self.text.replacing(/\{(schema|schema_name|now|keys)\}/) { match in
            switch match.1 {
            case "schema": SQLText.quoted(schema)
            case "schema_name": SQLText.literal(schema)
            case "now": "\(SQLText.literal(now + "+00"))::timestamptz"
            default: keys ?? String(match.0)
            }
        }
    }
}
