package import PostgresClient

/// Somebody for whose sake vacuum leaves deleted rows where they are.
package struct SnapshotHolder: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case session
        case walSender
        case preparedTransaction
        case replicationSlot
    }

    package var kind: Kind
    /// The process, or the name as an SQL literal.
    package var name: String
    /// Whose it is and what it does: `app (idle in transaction)`.
    var owner: String
    /// For how long; nil for a slot.
    var age: Duration?
    /// How many transactions have begun since.
    package var transactions: Int
    /// How many had begun when it was asked, by the same count as `TouchedTable.xid`.
    private var next: Int

    /// After so long, somebody who holds a snapshot is in the way of a clean-up that runs every hour.
    private static let longest = Duration.seconds(3_600)
    /// A standby's feedback is always there; it matters when it has fallen behind.
    private static let manyTransactions = 1_000_000

    /// Whether ending its process lets go of it.
    var isOfSession: Bool { self.kind == .session || self.kind == .walSender }

    /// Whether it has held it for over an hour.
    var isOld: Bool { self.age.map { $0 > Self.longest } ?? (self.transactions > Self.manyTransactions) }

    /// Whether vacuum cannot remove what a transaction has deleted that is not older than `xid`.
    package func isBefore(_ xid: Int) -> Bool { self.next - self.transactions <= xid }

    /// `process 12 of app (idle in transaction) has a snapshot of 2h ago`.
    package var words: String {
        let since = self.age.map { "of \($0.rounded) ago" } ?? "of \(self.transactions) transactions ago"
        switch self.kind {
        case .session, .walSender: return "process \(self.name) of \(self.owner) has a snapshot \(since)"
        case .preparedTransaction:
            return "transaction \(self.name) was prepared \(self.age.map(\.rounded) ?? "long") ago"
        case .replicationSlot: return "replication slot \(self.name) keeps rows \(since)"
        }
    }

    /// All of them that this role may see, the oldest first; vacuums do not get in each other's way.
    package static func read(_ connection: PostgresConnection) async throws -> [SnapshotHolder] {
        let settings = TransactionSettings.readingFacts.statement()
        return try await connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try connection.run(Self.query).rows.map { row in
                SnapshotHolder(
                    kind: Kind(rawValue: try row.text(0)) ?? .session,
                    name: try row.text(1),
                    owner: try row.text(2),
                    age: row.int(3).map { .seconds($0) },
                    transactions: row.int(4) ?? 0,
                    next: row.int(5) ?? 0
                )
            }
        }
    }

    private static let query = """
        SELECT kind, name, owner, seconds, transactions, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        FROM (
          SELECT CASE backend_type WHEN 'walsender' THEN 'walSender' ELSE 'session' END AS kind, pid::text AS name,
                 coalesce(usename, backend_type) || ' (' || coalesce(state, backend_type) || ')' AS owner,
                 CASE WHEN backend_type <> 'walsender'
                   THEN extract(epoch FROM now() - coalesce(xact_start, backend_start))::bigint END AS seconds,
                 greatest(age(backend_xmin), age(backend_xid)) AS transactions
          FROM pg_stat_activity
          WHERE (datname = current_database() OR backend_type = 'walsender') AND pid <> pg_backend_pid()
            AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
            AND backend_type <> 'autovacuum worker' AND query !~* '^\\s*vacuum'
          UNION ALL
          SELECT 'preparedTransaction', quote_literal(gid), owner, extract(epoch FROM now() - prepared)::bigint,
                 age(transaction)
          FROM pg_prepared_xacts WHERE database = current_database()
          UNION ALL
          SELECT 'replicationSlot', quote_literal(slot_name), '', NULL, age(xmin)
          FROM pg_replication_slots WHERE xmin IS NOT NULL
        ) AS holder
        ORDER BY transactions DESC, name
        """
}
