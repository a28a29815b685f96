package import PostgresClient

/// Planner settings of one transaction, so that every batch of a run is executed the same way.
///
/// Set with `set_config(…, true)`, which ends with the transaction: behind pgbouncer nobody else sees them.
package struct PlanPins: Sendable, Equatable {
    /// The settings that are switched off.
    package let off: [String]

    private init(off names: [String]) {
        // jit is off everywhere: compiling costs more than a batch that takes a quarter of a second.
        self.off = ["jit"] + names
    }

    /// Sets them, along with the time zone that every time without zone is read in and the forms in which pivots are kept.
    package var setting: PostgresStatement {
        let fixed = [
            ("TimeZone", "UTC"), ("DateStyle", "ISO, YMD"), ("IntervalStyle", "postgres"), ("extra_float_digits", "1"),
            ("bytea_output", "hex"),
        ]
        let all = fixed + self.off.map { ($0, "off") }
        var sql = SQLText()
        let calls = all.map { name, value in
            "set_config(\(sql.bind(name, as: "text")), \(sql.bind(value, as: "text")), true)"
        }
        return sql.statement("SELECT " + calls.joined(separator: ", "))
    }

    /// For queries whose plan is the database's to choose.
    package static let searching = PlanPins(off: [])

    /// For the statements of one range.
    ///
    /// - Ranges scan once and hash the pivots; a nested loop, which looks cheap once statistics say that the table is
    ///   empty, would compare every row with every pivot.
    /// - Groups go from the pivots to the rows, one index lookup each.
    package init(for range: BatchRange) {
        switch range {
        case .block: self.init(off: ["enable_nestloop", "enable_mergejoin", "enable_bitmapscan"])
        case .window, .idRange: self.init(off: ["enable_nestloop", "enable_mergejoin", "enable_seqscan"])
        case .group, .keys: self.init(off: ["enable_hashjoin", "enable_mergejoin", "enable_seqscan"])
        }
    }
}
