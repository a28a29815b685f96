import Logging
import PostgresClient
import Shared

/// One list and its calls.
extension ObjectBatch {
    /// The longest between a look at the references and the call.
    private static let longestGap = Duration.seconds(1)
    /// How often in a row it may be too long before the batch is given back.
    private static let mostLateLooks = 5

    /// The ledger or the storage is too slow for what is known of the references to be of any use.
    private struct LateLook: Error, CustomStringConvertible {
        let times: Int

        var description: String {
            "\(self.times) times more than \(longestGap) went by between a look at the references and the call that would delete"
        }
    }

    mutating func delete(_ objects: [ObjectStore.Object]) async throws {
        guard try await self.ledger.write(objects, of: self.claim, limits: self.limits, self.connection) else {
            throw Superseded()
        }
        let list = self.claim.nextList
        self.claim.nextList += 1
        var call = DeletionCall(objects)
        var failure: (any Error)?
        do { try await self.carryOut(&call) } catch { failure = error }
        // While the answer to a call is missing, so is the count. Where the look after a call has failed, the end of the run
        // looks again at a list that is not confirmed.
        if failure == nil || !call.isUncertain && call.fresh.isEmpty {
            try await self.confirm(call, list)
        }
        if !call.deleted.isEmpty { self.hasDeleted = true }
        if let failure { throw failure }
        guard let last = call.refused.last else { return }
        let error = StorageError(
            .refused,
            code: last.code,
            message: last.message,
            request: "DeleteObjects of bucket \(self.context.store.configuration.bucket), key \(last.key)"
        )
        self.refused += call.refused.map(\.key)
        self.refusal = BatchError("\(error)")
    }

    /// Calls until every key is gone, refused or referenced; looks at the references before each call, and again at the objects
    /// before each but the first.
    private func carryOut(_ call: inout DeletionCall) async throws {
        let store = self.context.store
        var tries = 0
        var lateLooks = 0
        while true {
            if tries > 0 { try await self.lookAgain(&call) }
            // The last call was answered, or it would have thrown: of these keys the storage always says so.
            if tries == store.limits.attempts { return call.giveUp() }
            let referenced = try await self.referenced(among: call.left)
            let looked = ContinuousClock.now
            try await self.keep(referenced, &call)
            if call.left.isEmpty { return }
            // Whoever was taken over deletes nothing any more, or it would be counted nowhere.
            guard try await self.ledger.holds(self.claim, self.connection) else { throw Superseded() }
            // A process that was frozen in between looks again; where it always takes so long, the batch is tried later.
            if looked.duration(to: .now) > Self.longestGap {
                lateLooks += 1
                guard lateLooks < Self.mostLateLooks else {
                    throw LateLook(times: lateLooks)
                }
                continue
            }
            lateLooks = 0
            var outage: StorageError?
            // Until the answer is here, also when this task is cancelled meanwhile.
            call.isUncertain = true
            do {
                call.note(try await store.delete(call.left))
            } catch let error as StorageError where StorageError.isTransient(error.code) {
                outage = error
            }
            // Any other error leaves open whether it happened. What is there by now may have been uploaded anew, so the batch is
            // given back and begins with a new listing.
            try await self.lookForLate(&call)
            if call.left.isEmpty { return }
            tries += 1
            if tries < store.limits.attempts {
                try await Task.sleep(for: store.limits.pause(after: tries))
            } else if let outage {
                throw outage
            }
        }
    }

    /// Finds out what became of the keys of a try that are left.
    ///
    /// Whoever found an object missing since may have written it anew, and will refer to it later.
    private func lookAgain(_ call: inout DeletionCall) async throws {
        call.note(try await self.context.store.objects(among: Set(call.left)))
        try await self.lookForLate(&call)
    }

    /// Leaves keys out of a call that something refers to by now.
    ///
    /// If an earlier try may have happened, they may be gone.
    private func keep(_ referenced: Set<String>, _ call: inout DeletionCall) async throws {
        for key in referenced {
            var isGone = false
            if call.isUncertain { isGone = try await self.context.store.object(key) == nil }
            call.keep(key, isGone: isGone)
            if isGone { self.report([key]) }
        }
    }

    /// Looks once more, right after a call: whoever put a reference there in between has lost its object.
    private func lookForLate(_ call: inout DeletionCall) async throws {
        let lost = try await self.context.lost(among: call.fresh, limits: self.limits, self.connection)
        call.fresh = []
        call.late += lost.count
        if !lost.isEmpty { self.report(lost) }
    }

    private func report(_ keys: Set<String>) {
        self.logger.reportLost(keys, run: self.claim.run, batch: self.claim.batch)
    }

    private func confirm(_ call: DeletionCall, _ list: Int) async throws {
        let confirmation = Ledger.Confirmation(
            list: list,
            deleted: call.deleted.count,
            bytes: call.bytes,
            late: call.late
        )
        let isCounted = try await self.ledger.confirm(
            confirmation,
            of: self.claim,
            limits: self.limits,
            self.connection
        )
        guard isCounted else { throw Superseded() }
        if self.context.target.quarantine != nil, !call.deleted.isEmpty {
            try await self.ledger.dropMarks(Array(call.deleted), self.context.marks, self.connection)
        }
    }
}
