/// A foreign key that deleting rows of a target has to look up: it points at the target's table, or at a table that loses
/// rows with it by cascade.
package struct ReferenceFacts: Sendable, Equatable {
    /// The referencing table.
    package var oid: Int
    package var schema: String
    package var table: String
    package var constraint: String
    package var columns: [String]
    /// The table that it points at: the target's, or one that loses rows with it.
    package var parent: Int
    package var parentSchema: String
    package var parentTable: String
    /// The columns that `columns` point at, in the same order.
    package var parentColumns: [String]
    package var action: DeleteAction
    /// Live rows of the referencing table, by statistics scaled to today's size.
    package var rows: Double
    package var blocks: Double
    /// The share of those rows that refer to nothing; 0 without statistics.
    package var nulls: Double
    package var lookup: Lookup
    package var isPartitioned: Bool
    /// Whether row security hides rows of the referencing table from this session.
    package var isFiltered: Bool

    /// What happens to referring rows; named as in SQL.
    package enum DeleteAction: String, Sendable, CaseIterable {
        case noAction = "NO ACTION"
        case restrict = "RESTRICT"
        case cascade = "CASCADE"
        case setNull = "SET NULL"
        case setDefault = "SET DEFAULT"

        /// By the letter in `pg_constraint.confdeltype`.
        init?(letter: String) {
            switch letter {
            case "a": self = .noAction
            case "r": self = .restrict
            case "c": self = .cascade
            case "n": self = .setNull
            case "d": self = .setDefault
            default: return nil
            }
        }
    }

    /// How referring rows are found.
    package enum Lookup: Sendable, Equatable {
        /// By an index whose first columns are the key's.
        case index(String)
        /// By reading a whole index that has a column of the key further back: cheaper than the table.
        case wholeIndex(String, blocks: Double)
        /// By reading the whole table.
        case wholeTable
    }

    /// The referencing table, quoted.
    package var name: String { SQLText.quoted(self.schema, self.table) }
    package var parentName: String { SQLText.quoted(self.parentSchema, self.parentTable) }

    package var isIndexed: Bool { if case .index = self.lookup { true } else { false } }

    /// What creates the missing index; nil when there is one.
    package var createIndex: String? {
        guard !self.isIndexed else { return nil }
        return IndexAdvice.create(self.schema, self.table, self.columns, isPartitioned: self.isPartitioned)
    }
}

extension TableFacts {
    /// The foreign keys that point at this very table.
    package var directReferences: [ReferenceFacts] { self.references.filter { $0.parent == self.oid } }
}
