import PostgresClient
import Shared

/// Deletes one batch: one transaction, ledger row first.
struct BatchExecutor: Sendable {
    let ledger: Ledger
    let limits: EbbConfiguration.Batches

    /// How a batch's transaction ended.
    enum Outcome: Sendable, Equatable {
        /// Committed: rows deleted, rows lost by cascade, and the time from the transaction's start to the delete's end.
        case deleted(rows: Int, cascaded: Int, microseconds: Int)
        /// Somebody else settled this batch before; these are the figures of the ledger.
        case settledBefore(outcome: String, rows: Int, cascaded: Int)
        /// Somebody else is at this very batch now: its ledger row is taken but not committed.
        case predecessorAlive
    }

    /// The statements' positions in the pipeline.
    private enum Position {
        static let insert = 2
        static let delete = 3
    }

    /// Runs the transaction.
    ///
    /// Two round trips: everything up to the delete, then its count and the commit. A batch that is settled already makes
    /// the first of them stop at the ledger row, before the delete.
    ///
    /// - Throws: `QueueError` for a malformed range; `PostgresError`: then nothing of it happened. After a lost connection it may have: the next attempt finds
    ///   the ledger row if so.
    func run(_ message: BatchMessage, _ context: RunContext, _ connection: PostgresConnection) async throws -> Outcome {
        guard let range = message.range else {
            throw QueueError("batch \(message.batch) of run \(message.run) has a range that Ebb did not write")
        }
        let delete = context.statements(generation: message.generation).delete(range)
        let children = context.resolved.facts.cascades
        do {
            let results = try await connection.pipeline([
                PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
                self.settings(for: range, counting: children),
                PostgresStatement(
                    "INSERT INTO \(self.ledger.table("batch")) (run, batch, outcome) VALUES ($1, $2, 'done')",
                    [message.run, message.batch]
                ),
                delete,
            ])
            let rows = results[Position.delete].affectedRows
            let before = results[1].rows.first?.int(0) ?? 0
            let settled = try await connection.pipeline([
                self.settle(message, rows: rows, countedBefore: before, children: children),
                PostgresStatement("COMMIT"),
            ])
            let figures = settled[0].rows.first
            return .deleted(rows: rows, cascaded: figures?.int(0) ?? 0, microseconds: figures?.int(1) ?? 0)
        } catch let error as PostgresError {
            await connection.rollback()
            switch (error.statementIndex, error.sqlState) {
            case (Position.insert, .uniqueViolation): return try await self.settledBefore(message, connection)
            case (Position.insert, .lockNotAvailable): return .predecessorAlive
            default: throw error
            }
        } catch {
            await connection.rollback()
            throw error
        }
    }

    /// Time limits, plan and text settings, all for this transaction only; and how many rows the cascading tables have
    /// lost in this session so far, since that counter may still hold what earlier transactions added.
    private func settings(for range: BatchRange, counting children: [Int]) -> PostgresStatement {
        TransactionSettings(for: range, limits: self.limits.timeLimits).statement(returning: Self.cascaded(children))
    }

    private static func cascaded(_ children: [Int]) -> String {
        children.isEmpty
            ? "0" : children.map { "coalesce(pg_stat_get_xact_tuples_deleted(\($0)), 0)" }.joined(separator: " + ")
    }

    private func settle(
        _ message: BatchMessage,
        rows: Int,
        countedBefore: Int,
        children: [Int]
    ) -> PostgresStatement {
        PostgresStatement(
            """
            UPDATE \(self.ledger.table("batch"))
            SET rows = $3::bigint, cascaded = \(Self.cascaded(children)) - $4::bigint,
                microseconds = (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
            WHERE run = $1 AND batch = $2
            RETURNING cascaded, microseconds
            """,
            [message.run, message.batch, String(rows), String(countedBefore)]
        )
    }

    private func settledBefore(_ message: BatchMessage, _ connection: PostgresConnection) async throws -> Outcome {
        let row = try await connection.query(
            "SELECT outcome, rows, cascaded FROM \(self.ledger.table("batch")) WHERE run = $1 AND batch = $2",
            [message.run, message.batch]
        ).rows.first
        guard let row else { return .predecessorAlive }
        return .settledBefore(outcome: try row.text(0), rows: row.int(1) ?? 0, cascaded: row.int(2) ?? 0)
    }

    /// Writes into the ledger that a batch is given up on, before the queue hears of it: a late predecessor's insert
    /// then conflicts and rolls back.
    ///
    /// A batch that was settled meanwhile stays settled.
    ///
    /// - Returns: the outcome that the ledger has now.
    func giveUp(_ message: BatchMessage, _ connection: PostgresConnection) async throws -> Outcome {
        _ = try await connection.query(
            """
            INSERT INTO \(self.ledger.table("batch")) (run, batch, outcome) VALUES ($1, $2, 'dead')
            ON CONFLICT DO NOTHING
            """,
            [message.run, message.batch]
        )
        return try await self.settledBefore(message, connection)
    }
}
