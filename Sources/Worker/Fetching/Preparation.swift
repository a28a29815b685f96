import Logging
import Shared

/// Does ahead of time what the first batches of a run would have to wait for: connections when a worker starts, and what batches
/// of a new run will need while its pivots are being found.
///
/// Left to the first batches it was more than half of the time between a run's creation and its first delete.
struct Preparation: Sendable {
    let queue: Queue
    let catalog: Catalog
    let contexts: RunContexts
    let pool: ConnectionPool
    let lease: Duration
    let logger: Logger
    /// How long it may take a slot's place: many times what it mostly takes, but a lock may be in its way, or a silent server.
    var patience = Duration.seconds(1)

    /// Expected rows, for each worker that is alive, from which a run is worth it: of a smaller one some workers get no batch, and
    /// would have read the catalogs for nothing, all at the same moment.
    static let fewestRows = 100_000

    /// Opens a connection for each slot, and reads the facts of a table over one of them.
    ///
    /// A new session of PostgreSQL knows nothing of the catalogs: its first look at them took 15 to 40 ms, and later ones 4.
    ///
    /// - `namespace`: the ledger's schema; its table of migrations is one that nobody locks.
    func open(_ slots: Int, namespace: String) async {
        do {
            try await withTimeLimit(self.patience) { try await self.pool.open(slots) }
        } catch is CancellationError {
            return
        } catch {
            let reason =
                error is TimeLimitExceeded ? "no answer within \(DurationText.format(self.patience))" : "\(error)"
            return self.logger.log(
                .warning,
                "not every slot has a connection yet",
                [.slots: "\(slots)", .error: "\(reason)"]
            )
        }
        do {
            try await withTimeLimit(self.patience) {
                let table = Target(
                    name: "migration",
                    schema: namespace,
                    table: "migration",
                    key: ["version"],
                    rule: Rule()
                )
                _ = try await self.pool.withConnection { try await TableFacts.read(table, from: $0) }
            }
        } catch {
            // Before the first `producer setup` there is no ledger.
            self.logger.log(.debug, "the catalogs are not read ahead", [.error: "\(error)"])
        }
    }

    /// Reads the run's context, if it is worth it.
    func prepare(_ new: Doorbell.NewRun) async {
        // Objects are no rows, and need other things.
        guard self.catalog.definition(of: new.target) != nil else { return }
        do {
            try await withTimeLimit(self.patience) { try await self.read(new) }
        } catch {
            // Its first batch meets the same, and says so.
            self.logger.log(.debug, "run is not prepared", [.run: "\(new.run)", .error: "\(error)"])
        }
    }

    private func read(_ new: Doorbell.NewRun) async throws {
        let workers = try await self.queue.workersAlive(within: self.lease)
        guard new.rows / Self.fewestRows >= workers else { return }
        _ = try await self.pool.withConnection { try await self.contexts.context(new.run, $0) }
    }
}
