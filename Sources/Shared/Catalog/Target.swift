/// One named kind of thing to clean: the table it lives in and the rule that makes a row of it expired.
///
/// Targets are data. They are read from YAML (the shipped presets and the operator's own file); no target's name
/// appears in code.
package struct Target: Sendable, Hashable {
    /// The name an operator types; case-sensitive.
    package var name: String
    /// The schema that holds the table; nil means wherever the database's search path finds it, or in each schema of `group`.
    package var schema: String?
    /// Schemas that each have such a table: a run cleans one of them, and `schema` says which.
    package var group: SchemaGroup?
    package var table: String
    /// The column or columns that identify a row; they need a unique index.
    package var key: [String]
    /// Tables that the rule's columns come from besides the target's own, in the order they were written.
    package var joins: [Join]
    package var rule: Rule
    /// Tables whose rows keep those of the target that they refer to, by any of their foreign keys to it.
    package var protect: [String]
    /// The column by which rows of the table hang on others of it: none goes before all that hang on it; nil for any order.
    package var leafFirst: String?
    /// Columns that no foreign key ties to the target, and that keep the rows they refer to all the same.
    package var unreferenced: [Unreferenced]
    /// How to cut the table; nil lets the planner choose.
    package var strategy: Strategy?
    /// Constraints that each batch defers to its commit, by their names in the table's schema.
    package var deferred: [String]
    /// Children whose rows go in runs of their own before the target's: by cascade they would all go in one transaction.
    package var drainFirst: [Target]
    /// Of a child that is drained first: that its table need not exist.
    package var isOptional = false
    /// What follows a row that was deleted.
    package var after: After?
    /// When `producer serve` is to clean it; further schedules may name it, too.
    package var schedule: SchedulePolicy?

    package init(
        name: String,
        schema: String? = nil,
        group: SchemaGroup? = nil,
        table: String,
        key: [String],
        joins: [Join] = [],
        rule: Rule,
        protect: [String] = [],
        leafFirst: String? = nil,
        unreferenced: [Unreferenced] = [],
        strategy: Strategy? = nil,
        deferred: [String] = [],
        drainFirst: [Target] = [],
        schedule: SchedulePolicy? = nil
    ) {
        self.name = name
        self.schema = schema
        self.group = group
        self.table = table
        self.key = key
        self.joins = joins
        self.rule = rule
        self.protect = protect
        self.leafFirst = leafFirst
        self.unreferenced = unreferenced
        self.strategy = strategy
        self.deferred = deferred
        self.drainFirst = drainFirst
        self.schedule = schedule
    }

    /// The name of its group of schemas; nil when it has one table.
    package var `in`: String? { self.group?.name }

    /// The knobs that this target reads, in a fixed order: first the age, then the count.
    package var knobs: [Knob] { [self.rule.maxAge?.age, self.rule.keepNewest?.count].compactMap { $0 } }
}

/// What follows rows that were deleted; SQL is the operator's own, and may have the placeholders of `SQLTemplate`.
package struct After: Sendable, Hashable {
    /// A statement of the batch's own transaction, with the deleted keys as `{keys}`.
    package var update: String?
    package var unlink: Unlink?

    package init(update: String? = nil, unlink: Unlink? = nil) {
        self.update = update
        self.unlink = unlink
    }

    /// Files or objects that belong to rows, and go once the rows are gone.
    package struct Unlink: Sendable, Hashable {
        /// A store of the configuration.
        package var store: String
        /// SQL over a deleted row: its file's path in the store, or NULL for a row without one.
        package var path: String
        /// SQL over a deleted row: how large the file is, for a store that does not tell.
        package var size: String?

        package init(store: String, path: String, size: String? = nil) {
            self.store = store
            self.path = path
            self.size = size
        }
    }
}

/// A column elsewhere that holds values of the target's key, or of another column of it.
package struct Unreferenced: Sendable, Hashable {
    package var place: Place
    package var table: String
    package var column: String
    /// The target's own column; nil is its key.
    package var from: String?

    /// Where the table is.
    package enum Place: Sendable, Hashable {
        /// nil is the target's own schema.
        case schema(String?)
        /// In each schema of a group, those that are skipped included.
        case group(SchemaGroup)
    }

    package init(place: Place = .schema(nil), table: String, column: String, from: String? = nil) {
        self.place = place
        self.table = table
        self.column = column
        self.from = from
    }
}

/// A table joined to the target's own, so that its columns can group or order rows.
package struct Join: Sendable, Hashable {
    /// The joined table; also the name by which columns refer to it.
    package var table: String
    /// Column equalities, ANDed: each side is a column of the target's table or of a joined one.
    package var conditions: [Equality]

    package init(table: String, conditions: [Equality]) {
        self.table = table
        self.conditions = conditions
    }

    /// `left = right`.
    package struct Equality: Sendable, Hashable {
        package var left: Column
        package var right: Column

        package init(left: Column, right: Column) {
            self.left = left
            self.right = right
        }
    }
}

/// A column of the target's table or of a joined table.
package struct Column: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// The joined table; nil is the target's own.
    package var table: String?
    package var name: String

    package init(table: String? = nil, name: String) {
        self.table = table
        self.name = name
    }

    /// A column of the target's own table.
    package init(stringLiteral name: String) { self.init(name: name) }

    package var description: String { self.table.map { "\($0).\(self.name)" } ?? self.name }
}

/// What makes a row expired: all conditions that are given must hold.
package struct Rule: Sendable, Hashable {
    package var maxAge: MaxAge?
    /// A time column: a row expires when that time has passed; NULL never expires.
    package var expiresAt: Column?
    package var keepNewest: KeepNewest?
    /// SQL over the target's columns, from the operator's own file only; passed on unchanged, in parentheses.
    package var `where`: String?

    package init(
        maxAge: MaxAge? = nil,
        expiresAt: Column? = nil,
        keepNewest: KeepNewest? = nil,
        where: String? = nil
    ) {
        self.maxAge = maxAge
        self.expiresAt = expiresAt
        self.keepNewest = keepNewest
        self.where = `where`
    }

    /// The time column of the target's own table that can be cut into windows: that of `max_age`, else that of `expires_at`.
    package var timeColumn: Column? {
        [self.maxAge?.column, self.expiresAt].compactMap { $0 }.first { $0.table == nil }
    }

    /// Older than `age`, strictly, by the database's clock at the run's creation; NULL never expires.
    package struct MaxAge: Sendable, Hashable {
        /// A time column of the target's table or of a joined one; without a time zone it is read as UTC.
        package var column: Column
        package var age: Knob

        package init(column: Column, age: Knob) {
            self.column = column
            self.age = age
        }
    }

    /// All but the newest `count` rows of each group, newest by `order`.
    ///
    /// Rows equal to the N-th kept row in all `order` columns are kept too. A NULL group is one group. A row with a NULL
    /// in an `order` column is neither deleted nor counted.
    package struct KeepNewest: Sendable, Hashable {
        package var count: Knob
        package var per: [Column]
        /// Columns of the target's table, compared one after the other; the greatest is the newest.
        package var order: [String]

        package init(count: Knob, per: [Column], order: [String]) {
            self.count = count
            self.per = per
            self.order = order
        }
    }
}

/// A value of a rule that an operator turns: written into the YAML, or read from an environment variable.
package enum Knob: Sendable, Hashable {
    /// The text after `age:` or `count:`.
    case literal(String)
    /// `${NAME}`, or `${NAME:-value}`.
    ///
    /// While the variable is unset, the value is used; without one the target is off. With a `unit`, as in `${NAME:-7}d`, both
    /// are whole numbers of it.
    case variable(String, otherwise: String? = nil, unit: String? = nil)

    /// The variable that it is read from; nil for a literal.
    package var variableName: String? { if case .variable(let name, _, _) = self { name } else { nil } }
    /// The unit of the variable's number; nil when there is none.
    var unit: String? { if case .variable(_, _, let unit) = self { unit } else { nil } }
}

/// How a run's rows are cut into batches.
package enum Strategy: String, Sendable, Hashable, CaseIterable, Codable {
    /// Ranges of the heap's blocks: every block is read once, whatever the key.
    case block
    /// Ranges of a time column that leads a btree index.
    case window
    /// Ranges of an integer key.
    case idRange = "id_range"
    /// Groups of `keep_newest`, found through an index led by the group's columns.
    case group
    /// Single rows, each in a transaction of its own: for few rows that take much with them. Never chosen, only asked for.
    case key
    /// Objects whose keys start alike.
    case prefix

    /// Those that the planner may choose; the others have to be asked for.
    package static let choices: [Strategy] = [.block, .window, .idRange, .group]
    /// Those that cut a table.
    static let ofTables = Self.allCases.filter { $0 != .prefix }
}
