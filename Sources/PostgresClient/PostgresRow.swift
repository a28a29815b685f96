/// One row as text.
///
/// Every accessor traps on a column number that the statement does not return.
package struct PostgresRow: Sendable {
    private let values: [String?]
    private let columns: [String]

    /// - Parameters:
    ///   - values: one per column; nil is NULL.
    ///   - columns: the names, for error messages.
    init(values: [String?], columns: [String]) {
        self.values = values
        self.columns = columns
    }

    /// The text of column `index`, from 0; nil for NULL.
    package subscript(_ index: Int) -> String? { self.values[index] }

    /// The integer in column `index`; nil for NULL and for text that is not an integer.
    package func int(_ index: Int) -> Int? { self.values[index].flatMap { Int($0) } }

    /// The boolean in column `index`; nil for NULL and for columns of another type.
    package func bool(_ index: Int) -> Bool? {
        switch self.values[index] {
        case "t": true
        case "f": false
        default: nil
        }
    }

    /// The text of a column that must not be NULL.
    ///
    /// - Throws: ``PostgresError/Code/unexpectedResult`` that names the column.
    package func text(_ index: Int) throws(PostgresError) -> String {
        guard let value = self.values[index] else {
            throw PostgresError(.unexpectedResult, "column \"\(self.columns[index])\" is NULL")
        }
        return value
    }
}
