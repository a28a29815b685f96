import Logging
import PostgresClient

/// Finds out, before a run ends, what calls did whose answer nobody has seen: their worker died or was stopped, the run was
/// cancelled, Redis lost it, or the storage fell silent.
///
/// A key of such a list that is gone was deleted by its call. One that is there was not, as soon as no call can be
/// under way any more. A key counts once, for the last list that has it: whoever wrote that one had seen its object.
struct ListSettlement: Sendable {
    let context: ObjectContext
    let ledger: Ledger
    let limits: TransactionSettings.TimeLimits
    let logger: Logger

    /// How soon to look again at most, since what is gone need not be waited for.
    private static let pause = Duration.seconds(1)

    /// Settles what can be settled now.
    ///
    /// - Returns: when to look again; nil when no list is left.
    /// - Throws: `StorageError`, `PostgresError`, `PlanningError`.
    func settle(_ connection: PostgresConnection) async throws -> Duration? {
        let run = self.context.record.run
        // First: who still makes a call makes no other, and what it says of this one comes too late.
        try await self.ledger.disown(run, connection)
        var rest: Duration?
        for list in try await self.ledger.unconfirmedLists(run, connection) {
            let keys = Set(list.sizes.keys)
            let present = try await self.context.store.present(among: keys)
            // A list of the future is from before the database's clock was put back.
            let left = list.age < .zero ? .zero : self.context.store.limits.timeout - list.age
            guard present.isEmpty || left <= .zero else {
                rest = max(rest ?? .zero, left)
                continue
            }
            let gone = keys.subtracting(present)
            let lost = try await self.context.lost(among: gone, limits: self.limits, connection)
            if !lost.isEmpty { self.logger.reportLost(lost, run: run, batch: list.batch) }
            let confirmation = Ledger.Confirmation(
                list: list.number,
                deleted: gone.count,
                bytes: gone.reduce(0) { $0 + (list.sizes[$1] ?? 0) },
                late: lost.count
            )
            try await self.ledger.settle(confirmation, run: run, batch: list.batch, connection)
        }
        return rest.map { min($0, Self.pause) }
    }
}

extension Logger {
    /// Names objects that were deleted while somebody began to refer to them, so that people can put them back.
    package func reportLost(_ keys: Set<String>, run: String, batch: String) {
        self.log(
            .error,
            "objects were deleted while references to them appeared; put them back",
            [.run: "\(run)", .batch: "\(batch)", .keys: "\(keys.sorted().joined(separator: " "))"]
        )
    }
}
