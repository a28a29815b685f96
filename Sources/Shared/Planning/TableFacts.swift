/// What the database knows about a target's table at one moment: types, indexes, statistics, referencing keys.
///
/// The planner decides from these, and statements take their casts from them.
package struct TableFacts: Sendable, Equatable {
    package var schema: String
    package var table: String
    package var oid: Int
    /// False for partitioned parents and for tables of another access method, where a TID names no single row.
    package var isPlainHeap: Bool
    /// Heap size in blocks, read from the file and not from statistics.
    package var blocks: Int
    /// Live rows by the planner's statistics, scaled to today's size.
    package var rows: Double
    package var columns: [ColumnFacts]
    package var indexes: [IndexFacts]
    /// Foreign keys that point here, and at the tables that lose rows with this one; each costs one lookup per row lost.
    package var references: [ReferenceFacts]
    /// Tables that lose rows by cascade when this one does, directly or through others.
    package var cascades: [Int]
    /// The joined tables, in the target's order.
    package var joined: [JoinedFacts]
    /// What the target's `unreferenced` names, in its order.
    package var kept: [KeptFacts] = []

    package var name: String { SQLText.quoted(self.schema, self.table) }

    package func column(_ name: String) -> ColumnFacts? { self.columns.first { $0.name == name } }

    /// A btree over the whole table whose first columns are `leading`, in any order, followed by `following`.
    package func index(leading: [String], following: [String] = []) -> IndexFacts? {
        self.indexes.first { index in
            index.isUsable && Set(index.columns.prefix(leading.count)) == Set(leading)
                && Array(index.columns.dropFirst(leading.count).prefix(following.count)) == following
        }
    }

    /// Whether a unique index covers exactly these columns.
    package func isUnique(_ columns: [String]) -> Bool {
        self.indexes.contains { $0.isUsable && $0.isUnique && Set($0.columns) == Set(columns) }
    }
}

/// One column.
package struct ColumnFacts: Sendable, Equatable {
    package var name: String
    /// As `format_type` prints it.
    package var type: String
    package var isNotNull: Bool
    /// How far the column's order is the heap's, -1 to 1; nil without statistics.
    package var correlation: Double?
    /// The share of rows that have none; nil without statistics.
    package var nulls: Double?
    /// How many different values it has; nil without statistics.
    package var distinct: Double?

    /// Whether the type is one of the time types that rules accept.
    package var isTime: Bool { self.timeType != nil }

    /// The type that a moment is bound as when compared with this column; nil if it is no time.
    ///
    /// A `date` is compared as the midnight it stands for, in UTC; an integer as seconds since 1970, in UTC.
    package var timeType: String? {
        if self.type.hasSuffix("with time zone") && self.type.hasPrefix("timestamp") {
            "timestamptz"
        } else if self.type.hasPrefix("timestamp") || self.type == "date" {
            "timestamp"
        } else if ["integer", "bigint"].contains(self.type) {
            "bigint"
        } else {
            nil
        }
    }

    package var isInteger: Bool { ["smallint", "integer", "bigint"].contains(self.type) }

    /// A value of the type, as SQL, that can take the place of NULL where values are hashed; nil for types without a simple one.
    var filler: String? {
        switch self.type {
        case "text", "character varying": "''"
        case let type where type.hasPrefix("character varying("): "''"
        case "uuid": "'00000000-0000-0000-0000-000000000000'"
        case "boolean": "false"
        default: self.isInteger ? "0" : nil
        }
    }
}

/// One index.
package struct IndexFacts: Sendable, Equatable {
    package var name: String
    package var columns: [String]
    /// Those of them that it sorts from the greatest to the smallest.
    package var descending: Set<String>
    package var isUnique: Bool
    /// A valid btree without a predicate or expressions: one that can find every row.
    package var isUsable: Bool

    package func isDescending(_ column: String) -> Bool { self.descending.contains(column) }
}

/// A joined table.
package struct JoinedFacts: Sendable, Equatable {
    package var schema: String
    package var table: String
    package var columns: [ColumnFacts]
    package var indexes: [IndexFacts]

    package var name: String { SQLText.quoted(self.schema, self.table) }
}
