package import PostgresClient

/// Settings of one transaction: its time limits, the planner's choices, and the form of values as text.
///
/// Set with `set_config(…, true)`, which ends with the transaction: behind pgbouncer nobody else sees them.
package struct TransactionSettings: Sendable, Equatable {
    /// What a transaction may take before the server ends it.
    package struct TimeLimits: Sendable, Equatable {
        /// Waiting for one lock.
        package var lock: Duration
        /// One statement.
        package var statement: Duration
        /// Between statements: a client that froze must not hold locks.
        package var idle: Duration

        /// For the queries of steps, which may read a whole table but write next to nothing.
        static let step = TimeLimits(lock: .seconds(5), statement: .seconds(1_800), idle: .seconds(60))
        /// Looking for what could save work, while others may be waiting to do that work.
        static let look = TimeLimits(lock: .seconds(5), statement: .milliseconds(250), idle: .seconds(60))
        /// Reading the database's own catalogs.
        static let facts = TimeLimits(lock: .seconds(5), statement: .seconds(30), idle: .seconds(60))
        /// Counting for people, who wait for it.
        static let counting = TimeLimits(lock: .seconds(5), statement: .seconds(300), idle: .seconds(60))
        /// After which no statement but a vacuum can still be under way, so that its connection must be dead.
        static let longestStatement = step.statement + step.idle
    }

    private var values: [Value]

    private struct Value: Sendable, Equatable {
        var name: String
        var value: String
    }

    private init(_ limits: TimeLimits, off names: [String]) {
        func milliseconds(_ duration: Duration) -> String { "\(duration.wholeMicroseconds / 1_000)ms" }
        // jit is off everywhere: compiling costs more than a batch that takes a quarter of a second.
        let off = (["jit"] + names).map { Value(name: $0, value: "off") }
        self.values =
            [
                Value(name: "lock_timeout", value: milliseconds(limits.lock)),
                Value(name: "statement_timeout", value: milliseconds(limits.statement)),
                Value(name: "idle_in_transaction_session_timeout", value: milliseconds(limits.idle)),
                // Times without zone are read in UTC.
                Value(name: "TimeZone", value: "UTC"),
                // Pivots are kept as text: what shapes text must be the same where they are found and where they are read.
                Value(name: "DateStyle", value: "ISO, YMD"),
                Value(name: "IntervalStyle", value: "postgres"),
                Value(name: "extra_float_digits", value: "1"),
                Value(name: "bytea_output", value: "hex"),
            ] + off
    }

    /// For what a batch writes into the ledger of objects and files, within its own limits.
    static func outsideTables(_ limits: TimeLimits) -> TransactionSettings {
        TransactionSettings(for: .objects(.uploads), limits: limits)
    }

    /// For queries whose plan is the database's to choose.
    package static let searching = TransactionSettings(.step, off: [])

    /// For a look whose plan is the database's to choose.
    static let looking = TransactionSettings(.look, off: [])

    /// For reading facts about tables.
    static let readingFacts = TransactionSettings(.facts, off: [])

    /// For counting what is in whole tables.
    static let counting = TransactionSettings(.counting, off: [])

    /// For the statements of one range, so that every batch of a run is executed the same way.
    ///
    /// - Ranges scan once and hash the pivots; a nested loop, which looks cheap once statistics say that the table is
    ///   empty, would compare every row with every pivot.
    /// - Groups go from the pivots to the rows, one index lookup each.
    /// - Keys find their rows by index, too; but a table that `protect` has to search without one is hashed, not searched
    ///   once per key. Groups are not possible then.
    ///
    /// - Objects are looked up by index in the tables that refer to them; where one of these has none, keys are hashed for it,
    ///   which the planner chooses.
    /// - With `order: leaf_first`, rows of any group hang on those of a few: their pivots are hashed.
    ///
    /// - `isHashing`: whether there is a table without index; see `RangeStatement.settings` and `ReferenceLookup`.
    /// - `isChained`: whether the target has `order: leaf_first`.
    package init(
        for range: BatchRange,
        limits: TimeLimits? = nil,
        isHashing: Bool = false,
        isChained: Bool = false
    ) {
        let off =
            switch range {
            case .block: ["enable_nestloop", "enable_mergejoin", "enable_bitmapscan"]
            case .window, .idRange: ["enable_nestloop", "enable_mergejoin", "enable_seqscan"]
            case .group where isChained: ["enable_mergejoin", "enable_seqscan"]
            case .keys where isHashing: ["enable_nestloop", "enable_mergejoin", "enable_seqscan"]
            case .objects where isHashing: ["enable_mergejoin"]
            case .group, .keys, .objects: ["enable_hashjoin", "enable_mergejoin", "enable_seqscan"]
            }
        self.init(limits ?? .step, off: off)
    }

    /// For the rest of the transaction: joins are done row by row, in the order of the outer side.
    static let nestedLoops = PostgresStatement(
        "SELECT set_config('enable_nestloop', 'on', true), set_config('enable_hashjoin', 'off', true)"
    )

    /// Sets them.
    ///
    /// - `expression`: SQL to be returned as the first column.
    package func statement(returning expression: String? = nil) -> PostgresStatement {
        var sql = SQLText()
        let calls = self.values.map { setting in
            "set_config(\(sql.bind(setting.name, as: "text")), \(sql.bind(setting.value, as: "text")), true)"
        }
        return sql.statement("SELECT " + ([expression].compactMap { $0 } + calls).joined(separator: ", "))
    }
}

extension EbbConfiguration.Batches {
    /// The limits of a batch's transaction.
    package var timeLimits: TransactionSettings.TimeLimits {
        .init(lock: self.lockTimeout, statement: self.statementTimeout, idle: self.idleTimeout)
    }
}
