import Shared

/// A foreign key as `plan` shows it.
struct ForeignKeyDocument: Encodable {
    var table: String
    var constraint: String
    var columns: [String]
    /// The table that it points at: the target's, or one that loses rows with it.
    var references: String
    var onDelete: String
    var indexed: Bool
    /// The index that serves it, or the one that is read as a whole.
    var index: String?
    /// Rows of the referencing table, by statistics.
    var rows: Int
    /// What looking it up costs the run, one lookup per deleted row.
    var seconds: Double
    var createIndex: String?

    private enum CodingKeys: String, CodingKey {
        case table, constraint, columns, references, indexed, index, rows, seconds
        case onDelete = "on_delete"
        case createIndex = "create_index"
    }

    init(_ key: ReferenceCosts.Key) {
        let reference = key.reference
        self.table = reference.name
        self.constraint = reference.constraint
        self.columns = reference.columns
        self.references = reference.parentName
        self.onDelete = reference.action.rawValue
        self.indexed = reference.isIndexed
        switch reference.lookup {
        case .index(let name), .wholeIndex(let name, _): self.index = name
        case .wholeTable: self.index = nil
        }
        self.rows = Int(reference.rows)
        self.seconds = key.cost / 1_000_000
        self.createIndex = reference.createIndex
    }

    /// In one line.
    var words: String {
        let columns = self.columns.joined(separator: ", ")
        let cost = "about \(Duration.seconds(self.seconds).rounded) for the run"
        let found: String
        switch (self.indexed, self.index) {
        case (true, let index): found = "by index \(index ?? "")"
        case (false, let index?): found = "without an index that begins with it, by reading all of \(index)"
        case (false, nil): found = "without an index, by reading all of the table"
        }
        return "\(self.table) (\(columns)), \(self.constraint), ON DELETE \(self.onDelete), \(found), \(cost)"
            + (self.createIndex.map { "; \($0)" } ?? "")
    }
}

/// A table that loses rows by cascade, as `plan` shows it.
struct CascadeDocument: Encodable {
    var table: String
    var rows: Int
    /// Whether the rows were counted; otherwise they are an estimate by statistics.
    var counted: Bool
    /// Whether more may go than was counted, because tables refer to each other in a circle.
    var least: Bool

    init(_ cascade: ReferenceCosts.Cascade, counted count: CascadeCount?) {
        let counted = count?.cascaded[cascade.oid]
        self.table = cascade.table
        self.rows = counted ?? Int(cascade.rows.rounded())
        self.counted = counted != nil
        self.least = counted != nil && count?.isLeast == true
    }

    /// In one line.
    var words: String {
        self.counted
            ? "\(self.least ? "at least " : "")\(Output.number(self.rows)) rows of \(self.table), counted now"
            : "about \(Output.number(self.rows)) rows of \(self.table), by statistics"
    }
}
