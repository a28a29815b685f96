package import PostgresClient

/// In which time zones sessions of a database begin, where that is not UTC.
///
/// Ebb's own transactions are in UTC whatever these say. But what an application writes into a column without a time zone is
/// in the time zone of its session.
package struct TimeZoneDefaults: Sendable, Equatable {
    /// A default, and for whom it holds.
    struct Default: Sendable, Equatable {
        var zone: String
        var sessions: String
    }

    let defaults: [Default]
    /// Why they could not be read; nil when they were.
    var problem: String? = nil

    /// Reads this session's default, and those of all roles in this database.
    ///
    /// A zone is UTC when its clock shows the same all year. One that the server does not know (any more) keeps the others from
    /// being read: that is a problem to warn of, not a reason to stop.
    package static func read(_ connection: PostgresConnection) async throws -> TimeZoneDefaults {
        let settings = TransactionSettings.readingFacts.statement()
        let rows: [PostgresRow]
        do {
            rows = try await connection.transaction(readOnly: true) { connection in
                _ = try connection.run(settings.sql, settings.parameters)
                return try connection.run(Self.query).rows
            }
        } catch let error as PostgresError where error.sqlState == .invalidParameterValue {
            return TimeZoneDefaults(defaults: [], problem: error.message)
        }
        return TimeZoneDefaults(
            defaults: try rows.map { Default(zone: try $0.text(0), sessions: try $0.text(1)) }
        )
    }

    private static let query = """
        SELECT found.zone, string_agg(found.sessions, ' and ' ORDER BY found.position, found.sessions)
        FROM (
          SELECT reset_val AS zone, 0 AS position, format('this session of %I', current_user) AS sessions
          FROM pg_settings WHERE name = 'TimeZone'
          UNION ALL
          SELECT split_part(setting, '=', 2), 1,
                 CASE WHEN s.setrole = 0 THEN 'sessions of this database' ELSE format('sessions of %I', r.rolname) END
          FROM pg_db_role_setting s
          CROSS JOIN LATERAL unnest(s.setconfig) AS setting
          LEFT JOIN pg_roles r ON r.oid = s.setrole
          WHERE lower(split_part(setting, '=', 1)) = 'timezone'
            AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) AS found
        WHERE EXISTS (
          SELECT FROM generate_series(0, 360, 20) AS day
          WHERE (now() + day * interval '1 day') AT TIME ZONE found.zone <> (now() + day * interval '1 day') AT TIME ZONE 'UTC')
        GROUP BY found.zone ORDER BY min(found.position), found.zone
        """

    /// What to look into before rows of the target die by columns without a time zone; one sentence a column.
    package func warnings(_ resolved: ResolvedTarget) -> [String] {
        guard !self.defaults.isEmpty || self.problem != nil else { return [] }
        let sessions =
            self.problem.map { "in which time zones sessions begin cannot be read (\($0))" }
            ?? self.defaults.map { "\($0.sessions) begin with TimeZone \($0.zone)" }.joined(separator: ", ")
        return [resolved.age, resolved.expiry].compactMap { $0 }.filter { $0.type == "timestamp" }.map { column in
            let table = column.join.map { resolved.facts.joined[$0].name } ?? resolved.facts.name
            let name = SQLText.quoted(column.facts.name)
            return
                "column \(name) of \(table) has no time zone and is read as UTC, but \(sessions): an application that does not "
                + "set UTC itself writes local time into it, and its rows expire early or late by the difference; to check, "
                + "compare the newest value with the clock: SELECT max(\(name)), now() AT TIME ZONE 'UTC' FROM \(table);"
        }
    }
}
