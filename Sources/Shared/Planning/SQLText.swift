package import PostgresClient

/// SQL under construction together with the values bound to it.
///
/// Every value of a statement goes through `bind`, every name through `quoted`; nothing else may reach the text but
/// literals of this module and the operator's own `where`.
package struct SQLText: Sendable {
    package private(set) var parameters: [String?] = []

    package init() {}

    /// Binds a value and returns its placeholder, cast to `type`.
    ///
    /// - `value`: in PostgreSQL's text format; nil is NULL.
    /// - `type`: a type name as `format_type` prints it, so already quoted where needed.
    package mutating func bind(_ value: String?, as type: String) -> String {
        self.parameters.append(value)
        return "$\(self.parameters.count)::\(type)"
    }

    package mutating func bind(_ value: Int, as type: String = "bigint") -> String {
        self.bind(String(value), as: type)
    }

    /// The finished statement.
    ///
    /// Mutating although it changes nothing: otherwise `sql.statement("… \(sql.bind(x, as: "text"))")` would compile, copy the
    /// parameters first and lose `x`.
    package mutating func statement(_ text: String) -> PostgresStatement { PostgresStatement(text, self.parameters) }

    /// Values as PostgreSQL's text form of an array, for `bind`.
    package static func array(_ values: [String]) -> String {
        let quoted = values.map { value in
            "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return "{" + quoted.joined(separator: ",") + "}"
    }

    /// A text as a literal, for the operator's own SQL, whose parameters cannot be numbered.
    package static func literal(_ text: String) -> String {
        let quoted = "'" + text.replacing("'", with: "''") + "'"
        // As an escape string, a backslash means the same whatever the session's settings.
        return text.contains("\\") ? " E" + quoted.replacing("\\", with: "\\\\") : quoted
    }

    /// A name as a quoted identifier.
    package static func quoted(_ name: String) -> String {
        // Names seldom hold a quote, and every batch quotes dozens.
        let inner = name.utf8.contains(UInt8(ascii: "\"")) ? name.replacing("\"", with: "\"\"") : name
        return "\"\(inner)\""
    }

    /// A schema-qualified name, quoted.
    package static func quoted(_ schema: String, _ name: String) -> String {
        "\(self.quoted(schema)).\(self.quoted(name))"
    }
}
