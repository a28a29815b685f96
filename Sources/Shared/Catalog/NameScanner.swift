/// Reads names of tables and columns, and the conditions of a join.
///
/// A name is written as it is in the database, case included, because SQL always quotes it. Names with other characters
/// than letters, digits, `_` and `$` stand in double quotes.
struct NameScanner {
    static let acceptedName = "a name of letters, digits and underscores, or any name in double quotes, up to 63 bytes"
    static let acceptedColumn = "column or table.column; names with other characters in double quotes"
    static let acceptedConditions = "table.column = table.column, or several with AND between them"

    private let text: String
    private var rest: Substring

    private init(_ text: String) {
        self.text = text
        self.rest = text[...]
    }

    /// A whole text that is one name.
    static func name(_ text: String) throws(RejectedValue) -> String {
        var scanner = NameScanner(text)
        guard let name = scanner.takeName(), scanner.isAtEnd else {
            throw RejectedValue(text, "is not a name", accepted: Self.acceptedName)
        }
        return name
    }

    /// A whole text that is `column` or `table.column`.
    static func column(_ text: String) throws(RejectedValue) -> Column {
        var scanner = NameScanner(text)
        guard let column = scanner.takeColumn(), scanner.isAtEnd else {
            throw RejectedValue(text, "is not a column", accepted: Self.acceptedColumn)
        }
        return column
    }

    /// A whole text that is `a.b = c.d`, or several with AND between them.
    static func conditions(_ text: String) throws(RejectedValue) -> [Join.Equality] {
        var scanner = NameScanner(text)
        var conditions: [Join.Equality] = []
        repeat {
            guard let left = scanner.takeColumn(), scanner.take("="), let right = scanner.takeColumn() else {
                throw RejectedValue(text, "is not a join condition", accepted: Self.acceptedConditions)
            }
            conditions.append(Join.Equality(left: left, right: right))
        } while scanner.takeAnd()
        guard scanner.isAtEnd else {
            throw RejectedValue(text, "is not a join condition", accepted: Self.acceptedConditions)
        }
        return conditions
    }

    private var isAtEnd: Bool { self.rest.allSatisfy(\.isWhitespace) }

    private mutating func takeColumn() -> Column? {
        guard let first = self.takeName() else { return nil }
        guard self.take(".") else { return Column(name: first) }
        return self.takeName().map { Column(table: first, name: $0) }
    }

    private mutating func takeName() -> String? {
        self.skipSpace()
        let name = self.rest.first == "\"" ? self.takeQuoted() : self.takePlain()
        // PostgreSQL cuts longer names off without a word, and would then mean another one.
        guard let name, !name.isEmpty, name.utf8.count <= 63, !name.contains("\0") else { return nil }
        return name
    }

    private mutating func takePlain() -> String? {
        guard let first = self.rest.first, first.isLetter || first == "_" else { return nil }
        let name = self.rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "$" }
        self.rest.removeFirst(name.count)
        return String(name)
    }

    /// As in SQL: two quotes inside stand for one.
    private mutating func takeQuoted() -> String? {
        var name = ""
        self.rest.removeFirst()
        while let character = self.rest.popFirst() {
            guard character == "\"" else {
                name.append(character)
                continue
            }
            guard self.rest.first == "\"" else { return name }
            self.rest.removeFirst()
            name.append("\"")
        }
        return nil
    }

    private mutating func takeAnd() -> Bool {
        self.skipSpace()
        guard self.rest.prefix(3).lowercased() == "and", self.rest.dropFirst(3).first?.isWhitespace == true else {
            return false
        }
        self.rest.removeFirst(3)
        return true
    }

    private mutating func take(_ symbol: Character) -> Bool {
        self.skipSpace()
        guard self.rest.first == symbol else { return false }
        self.rest.removeFirst()
        return true
    }

    private mutating func skipSpace() {
        self.rest = self.rest.drop(while: \.isWhitespace)
    }
}
