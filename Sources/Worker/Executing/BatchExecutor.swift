import Logging
import PostgresClient
import Shared

/// Deletes one batch: one transaction, ledger row first.
struct BatchExecutor: Sendable {
    let ledger: Ledger
    let limits: EbbConfiguration.Batches
    /// For files of rows.
    let removal: FileRemoval
    private let optimism = Optimism()

    init(ledger: Ledger, limits: EbbConfiguration.Batches, stores: Stores, logger: Logger) {
        self.ledger = ledger
        self.limits = limits
        self.removal = FileRemoval(ledger: ledger, stores: stores, limits: limits.timeLimits, logger: logger)
    }

    /// How a batch's transaction ended.
    enum Outcome: Sendable, Equatable {
        /// Committed: rows deleted, rows lost by cascade, and the time from the transaction's start to the delete's end.
        case deleted(rows: Int, cascaded: Int, microseconds: Int)
        /// The same of a batch whose rows had files, which are gone, too.
        case finished(Ledger.BatchRecord, microseconds: Int)
        /// Somebody else ended this batch before.
        case endedBefore(Ledger.BatchRecord)
        /// The run is over by the ledger.
        case runOver
        /// Somebody else is at this very batch now: its ledger row is taken but not committed.
        case predecessorAlive
        /// The whole table is locked against deleting.
        case tableLocked
    }

    /// What to do about rows that somebody else has locked.
    enum Mode: Sendable {
        /// Wait for them, as long as a batch may wait for a lock.
        case waiting
        /// Leave them to the run's verification.
        case skippingLocked
    }

    /// The statements' positions in the first pipeline.
    private enum Position {
        static let settings = 1
        static let claim = 2
        static let lock = 3
    }

    /// Runs the transaction.
    ///
    /// A batch of `order: leaf_first` may try a plain delete first: one that the foreign key refuses, or that gets in the way of
    /// another such batch, has not happened.
    ///
    /// - Throws: `QueueError` for a malformed range; `RunContext.Obstacle`; `PostgresError`: then nothing of it happened.
    ///   After a lost connection it may have: the next attempt finds the ledger row if so.
    func run(
        _ message: BatchMessage,
        _ context: RunContext,
        _ mode: Mode = .waiting,
        _ connection: PostgresConnection
    ) async throws -> Outcome {
        guard let range = message.range else {
            throw QueueError("batch \(message.batch) of run \(message.run) has a range that Ebb did not write")
        }
        if let after = AfterSQL(context) {
            return try await self.run(message, range, after, context, mode, connection)
        }
        let statements = context.statements(generation: message.generation)
        if mode == .waiting, let deletes = statements.optimistic(range), self.optimism.tries(message.run) {
            do {
                return try await self.run(deletes, of: message, range, context, mode, connection)
            } catch SQLState.foreignKeyViolation, SQLState.restrictViolation, SQLState.deadlockDetected {
                self.optimism.refused(message.run)
            }
        }
        let deletes = statements.batch(range, skippingLocked: mode == .skippingLocked)
        return try await self.run(deletes, of: message, range, context, mode, connection)
    }

    /// Two round trips: everything up to the delete, then its count and the commit.
    ///
    /// A batch that is settled already makes the first of them stop at the ledger row, before the delete.
    ///
    /// - `deletes`: the last one's count is the batch's.
    /// - `following`: what else belongs to the transaction, by what the last one returned.
    func run(
        _ deletes: [PostgresStatement],
        of message: BatchMessage,
        _ range: BatchRange,
        _ context: RunContext,
        _ mode: Mode,
        _ connection: PostgresConnection,
        following: (PostgresResult) throws -> [PostgresStatement] = { _ in [] }
    ) async throws -> Outcome {
        let statements = context.statements(generation: message.generation)
        let children = context.resolved.facts.cascades
        var first = [
            PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
            self.settings(statements, range, counting: children),
            self.ledger.claim(run: message.run, batch: message.batch),
        ]
        if mode == .skippingLocked {
            first.append(PostgresStatement("LOCK TABLE \(context.resolved.facts.name) IN ROW EXCLUSIVE MODE NOWAIT"))
        }
        if let deferral = statements.deferral { first.append(deferral) }
        first += deletes
        var isDeleted = false
        do {
            let results = try await connection.pipeline(first, deadline: self.limits.patience)
            isDeleted = true
            guard results[Position.claim].affectedRows == 1 else {
                await connection.rollback()
                return try await self.reason(message, connection)
            }
            let others = try results.last.map(following) ?? []
            let last =
                others + [
                    self.settle(
                        message,
                        rows: results.last?.affectedRows ?? 0,
                        countedBefore: results[Position.settings].rows.first?.int(0) ?? 0,
                        children: children
                    ),
                    PostgresStatement("COMMIT"),
                ]
            let settled = try await connection.pipeline(last, deadline: self.limits.patience)
            let figures = settled[others.count].rows.first
            return .deleted(
                rows: results.last?.affectedRows ?? 0,
                cascaded: figures?.int(0) ?? 0,
                microseconds: figures?.int(1) ?? 0
            )
        } catch let error as PostgresError {
            await connection.rollback()
            switch (isDeleted ? nil : error.statementIndex, error.sqlState) {
            case (Position.claim, .uniqueViolation):
                let record = try await self.ledger.batch(message.run, message.batch, connection)
                return record.map { .endedBefore($0) } ?? .predecessorAlive
            case (Position.claim, .lockNotAvailable): return .predecessorAlive
            case (Position.lock, .lockNotAvailable) where mode == .skippingLocked: return .tableLocked
            default: throw error
            }
        } catch {
            await connection.rollback()
            throw error
        }
    }

    /// Time limits, plan and text settings, all for this transaction only; and how many rows the cascading tables have
    /// lost in this session so far, since that counter may still hold what earlier transactions added.
    private func settings(
        _ statements: RangeStatement,
        _ range: BatchRange,
        counting children: [Int]
    ) -> PostgresStatement {
        statements.settings(for: range, limits: self.limits.timeLimits).statement(returning: Self.cascaded(children))
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

    /// Why the ledger did not take the batch.
    private func reason(_ message: BatchMessage, _ connection: PostgresConnection) async throws -> Outcome {
        guard let record = try await self.ledger.run(message.run, connection) else {
            throw RunContext.Obstacle.unknownRun(message.run)
        }
        guard record.isOnItsServer else { throw RunContext.Obstacle.otherServer(run: message.run) }
        return .runOver
    }
}
