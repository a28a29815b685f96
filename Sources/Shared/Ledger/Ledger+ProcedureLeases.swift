package import PostgresClient

/// Who has a run of the procedure: from its beginning until everybody who has to know of its end does.
extension Ledger {
    /// Time for one statement here.
    private static let patience = Duration.seconds(15)

    /// What was left that somebody would take over.
    package enum Left: Sendable, Equatable {
        /// Whatever there is.
        case any
        /// A run that is over, and of whose end not everybody was told.
        case ended
        /// As `ended`, or the unfinished run of this id.
        case this(String)
    }

    /// Takes over a run whose owner has given no sign of life for its lease, or that has had none yet: one that is over, and of
    /// whose end not everybody was told, or the unfinished one; nil when there is none.
    ///
    /// The one that was left first comes first, so that ends that cannot be told keep nothing from going on.
    ///
    /// - Returns: it, with for how long it had been left, and whether it has had no owner.
    package func takeOverProcedure(
        _ left: Left = .any,
        owner: String,
        lease: Duration,
        _ connection: PostgresConnection
    ) async throws -> (record: ProcedureRecord, isNew: Bool)? {
        let unfinished: String? =
            switch left {
            case .any: nil
            case .ended: ""
            case .this(let id): id
            }
        let taken = try await connection.query(
            """
            UPDATE \(self.table("procedure_run")) AS p
            SET owner = $1, beat_at = clock_timestamp(),
                taken_over = p.taken_over + (p.owner <> '' AND p.finished_at IS NULL)::integer,
                lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
            FROM (SELECT id, lease_until, owner FROM \(self.table("procedure_run"))
                  WHERE told_at IS NULL AND lease_until < clock_timestamp()
                    AND (finished_at IS NOT NULL OR $3::text IS NULL OR id = $3)
                  ORDER BY lease_until LIMIT 1 FOR UPDATE) AS lapsed
            WHERE p.id = lapsed.id
            RETURNING p.id, extract(epoch FROM clock_timestamp() - lapsed.lease_until)::bigint, lapsed.owner = ''
            """,
            [owner, String(lease.wholeMicroseconds), unfinished],
            deadline: Self.patience
        )
        guard let row = taken.rows.first else { return nil }
        guard var record = try await self.procedure(try row.text(0), connection) else { return nil }
        record.lapsedSeconds = row.int(1) ?? 0
        return (record, row.bool(2) == true)
    }

    /// Keeps a run; false when somebody else owns it now, or it is over.
    package func beatProcedure(
        _ id: String,
        owner: String,
        lease: Duration,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await connection.query(
            """
            UPDATE \(self.table("procedure_run"))
            SET beat_at = clock_timestamp(), lease_until = clock_timestamp() + $3::bigint * interval '1 microsecond'
            WHERE id = $1 AND owner = $2 AND finished_at IS NULL
            """,
            [id, owner, String(lease.wholeMicroseconds)],
            deadline: Self.patience
        ).affectedRows > 0
    }

    /// Notes that all who have to know of a run's end have been told.
    package func toldProcedure(_ id: String, owner: String, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            """
            UPDATE \(self.table("procedure_run")) SET told_at = clock_timestamp()
            WHERE id = $1 AND owner = $2 AND finished_at IS NOT NULL AND told_at IS NULL
            """,
            [id, owner],
            deadline: Self.patience
        )
    }

    /// Lets anybody take over at once what this owner has.
    package func leaveProcedures(of owner: String, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            """
            UPDATE \(self.table("procedure_run")) SET lease_until = clock_timestamp()
            WHERE owner = $1 AND told_at IS NULL
            """,
            [owner],
            deadline: Self.patience
        )
    }
}
