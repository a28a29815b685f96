import FoundationEssentials
import Logging
import PostgresClient
import Shared

/// One attempt at a batch of objects.
///
/// Every call that deletes goes through the same order: the list into the ledger, a look at the references, the call, another
/// look, the confirmation. What a call did that was never confirmed is found out by the next attempt, from the listing.
struct ObjectBatch {
    private var claim: Ledger.ObjectClaim
    private let context: ObjectContext
    private let ledger: Ledger
    private let limits: TransactionSettings.TimeLimits
    private let logger: Logger
    private let connection: PostgresConnection
    private let isKey: (Substring) -> Bool

    /// Found, due, and not yet in a call.
    private var due: [ObjectStore.Object] = []
    /// Of lists that were never confirmed, what has not been seen since.
    private var missing: [String: Int] = [:]
    /// Keys that the storage does not delete, though it was asked properly.
    private(set) var refused: [String] = []
    /// What it said of the last of them.
    private(set) var refusal: BatchError?

    /// The longest between a look at the references and the call.
    private static let longestGap = Duration.seconds(1)

    /// So many keys, all refused: it is not about the keys.
    private static let manyRefused = 10

    /// Somebody else has the batch now.
    struct Superseded: Error {}

    init(
        claim: Ledger.ObjectClaim,
        context: ObjectContext,
        ledger: Ledger,
        limits: TransactionSettings.TimeLimits,
        logger: Logger,
        connection: PostgresConnection
    ) {
        self.claim = claim
        self.context = context
        self.ledger = ledger
        self.limits = limits
        self.logger = logger
        self.connection = connection
        self.isKey = context.target.keys.matcher()
        for list in claim.unconfirmed { self.missing.merge(list.sizes) { newer, _ in newer } }
    }

    /// Deletes what is due in a range.
    mutating func work(_ range: ObjectRange) async throws {
        switch range {
        case .prefix(let prefix): try await self.work(prefix: prefix)
        case .keys(let keys):
            for key in keys {
                if let object = try await self.context.store.object(key) { try await self.take([object], in: nil) }
            }
        case .uploads: return try await self.abortUploads()
        }
        try await self.delete(atLeast: 1)
        try await self.settle()
    }

    private mutating func work(prefix: String) async throws {
        let target = self.context.target
        // A message only narrows; what is not the target's is not even listed.
        guard prefix.hasPrefix(target.prefix) || target.leftovers.map({ prefix.hasPrefix($0.prefix) }) ?? false else {
            throw QueueError("a batch of run \(self.claim.run) names objects that its target does not have")
        }
        var token: String?
        var last: String?
        repeat {
            let page = try await self.context.store.page(prefix: prefix, after: token)
            let isLast = page.next == nil
            let upTo = isLast ? nil : page.objects.last?.key
            try await self.take(page.objects, in: .init(prefix: prefix, after: last, upTo: upTo))
            // Page by page: what is kept back could be written anew meanwhile.
            try await self.delete(atLeast: 1)
            last = upTo ?? last
            token = page.next
        } while token != nil
    }

    /// Sorts out what of some objects is due.
    private mutating func take(_ objects: [ObjectStore.Object], in interval: Ledger.KeyInterval?) async throws {
        for object in objects { self.missing[object.key] = nil }
        var old: [ObjectStore.Object] = []
        for object in objects {
            switch self.context.target.kind(of: object.key, self.isKey) {
            case .referable where object.lastModified < self.context.cutoff: old.append(object)
            case .leftover:
                if let cutoff = self.context.leftoversCutoff, object.lastModified < cutoff { self.due.append(object) }
            case .referable, nil: break
            }
        }
        let referenced = try await self.referenced(among: old.map(\.key))
        var free = old.filter { !referenced.contains($0.key) }
        if let quarantine = self.context.target.quarantine {
            free = try await self.quarantined(free, quarantine, in: interval)
        }
        self.due += free
    }

    /// Those that an earlier run has found unreferenced, long enough before this run began.
    private func quarantined(
        _ objects: [ObjectStore.Object],
        _ quarantine: Duration,
        in interval: Ledger.KeyInterval?
    ) async throws -> [ObjectStore.Object] {
        let ripe = try await self.ledger.quarantine(
            objects,
            in: interval,
            self.context.marks,
            atLeast: quarantine,
            before: self.context.record.createdAt,
            self.connection
        )
        return objects.filter { ripe.contains($0.key) }
    }

    private func referenced(among keys: [String]) async throws -> Set<String> {
        try await self.context.references.referenced(among: keys, limits: self.limits, self.connection)
    }

    /// Deletes what is due in calls of 1,000 keys, as long as so many are due.
    private mutating func delete(atLeast least: Int) async throws {
        while self.due.count >= least {
            let objects = Array(self.due.prefix(ObjectStore.most))
            self.due.removeFirst(objects.count)
            try await self.delete(objects)
        }
    }

    // MARK: One list

    private mutating func delete(_ objects: [ObjectStore.Object]) async throws {
        guard try await self.ledger.write(objects, of: self.claim, limits: self.limits, self.connection) else {
            throw Superseded()
        }
        let list = self.claim.nextList
        self.claim.nextList += 1
        var call = DeletionCall(objects)
        var failure: (any Error)?
        do { try await self.carryOut(&call) } catch { failure = error }
        // While the answer to a call is missing, so is the count: the next attempt takes it from the listing.
        if failure == nil || !call.isUncertain {
            try await self.confirm(call, list)
        }
        if let failure { throw failure }
        let refused = call.failures.filter { !StorageError.isTransient($0.code) }
        guard let last = refused.last else { return }
        let error = StorageError(
            .refused,
            code: last.code,
            message: last.message,
            request: "DeleteObjects of bucket \(self.context.store.configuration.bucket), key \(last.key)"
        )
        if refused.count == objects.count && refused.count >= Self.manyRefused { throw error }
        self.refused += refused.map(\.key)
        self.refusal = BatchError("\(error)")
    }

    /// Calls until every key is gone, refused or referenced; looks at the references before each call.
    private func carryOut(_ call: inout DeletionCall) async throws {
        let store = self.context.store
        var tries = 0
        while true {
            let referenced = try await self.referenced(among: self.referable(call.left))
            let looked = ContinuousClock.now
            try await self.keep(referenced, &call)
            if call.left.isEmpty { return }
            // A process that was frozen in between looks again.
            if looked.duration(to: .now) > Self.longestGap { continue }
            var problem: StorageError?
            // Until the answer is here, also when this task is cancelled meanwhile.
            call.isUncertain = true
            do {
                call.note(try await store.delete(call.left))
                problem = call.failures.first { StorageError.isTransient($0.code) }.map { failure in
                    StorageError(.away, code: failure.code, message: failure.message, request: "DeleteObjects")
                }
            } catch let error as StorageError where StorageError.isTransient(error.code) {
                problem = error
            }
            // Any other error leaves open whether it happened. What is there by now may have been uploaded anew, so the batch is
            // given back and begins with a new listing.
            try await self.lookForLate(&call)
            guard let problem else { return }
            tries += 1
            guard tries < store.limits.attempts else { throw problem }
            try await Task.sleep(for: store.limits.pause(after: tries))
        }
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
        let late = try await self.referenced(among: self.referable(Array(call.fresh)))
        call.fresh = []
        call.late += late.count
        if !late.isEmpty { self.report(late.sorted()) }
    }

    private func report(_ keys: [String]) {
        self.logger.log(
            .error,
            "objects were deleted while references to them appeared; put them back",
            [
                .run: "\(self.claim.run)", .batch: "\(self.claim.batch)",
                .keys: "\(keys.joined(separator: " "))",
            ]
        )
    }

    private func confirm(_ call: DeletionCall, _ list: Int) async throws {
        let confirmation = Ledger.Confirmation(
            list: list,
            deleted: call.deleted.count,
            bytes: call.bytes,
            late: call.late
        )
        try await self.confirm([confirmation], gone: Array(call.deleted))
    }

    private func confirm(_ confirmations: [Ledger.Confirmation], gone: [String]) async throws {
        let isCounted = try await self.ledger.confirm(
            confirmations,
            of: self.claim,
            limits: self.limits,
            self.connection
        )
        guard isCounted else { throw Superseded() }
        if self.context.target.quarantine != nil, !gone.isEmpty {
            try await self.ledger.dropMarks(gone, self.context.marks, self.connection)
        }
    }

    private func referable(_ keys: [String]) -> [String] {
        keys.filter { self.context.target.kind(of: $0, self.isKey) == .referable }
    }

    // MARK: What earlier attempts did

    /// Counts what the lists of earlier attempts have deleted: their keys that the whole listing did not show.
    private mutating func settle() async throws {
        if self.claim.unconfirmed.isEmpty { return }
        let late = try await self.referenced(among: self.referable(Array(self.missing.keys)))
        if !late.isEmpty { self.report(late.sorted()) }
        var confirmations: [Ledger.Confirmation] = []
        // A key of several lists was last seen when the newest of them was written.
        for list in self.claim.unconfirmed {
            var confirmation = Ledger.Confirmation(list: list.number)
            for key in list.sizes.keys {
                guard let size = self.missing.removeValue(forKey: key) else { continue }
                confirmation.deleted += 1
                confirmation.bytes += size
                confirmation.late += late.contains(key) ? 1 : 0
            }
            confirmations.append(confirmation)
        }
        try await self.confirm(confirmations, gone: [])
    }

    // MARK: Uploads in parts

    private func abortUploads() async throws {
        guard let cutoff = self.context.uploadsCutoff else { return }
        let store = self.context.store
        var aborted = 0
        // All of them first: ending one shifts what a later page of the listing shows.
        var old: [ObjectStore.Upload] = []
        try await store.uploads { old += $0.filter { $0.initiated < cutoff } }
        let target = self.context.target
        for upload in old {
            let isChunk = target.leftovers.map { upload.key.hasPrefix($0.prefix) } ?? false
            guard isChunk || target.kind(of: upload.key, self.isKey) != nil else { continue }
            try await store.abort(upload)
            aborted += 1
        }
        if aborted > 0 {
            self.logger.log(.info, "uploads in parts were aborted", [.run: "\(self.claim.run)", .count: "\(aborted)"])
        }
    }
}

/// The keys of one list, on their way.
private struct DeletionCall {
    private let sizes: [String: Int]
    /// Still to be deleted, in order.
    private(set) var left: [String]
    private(set) var deleted: Set<String> = []
    /// Of the last try.
    private(set) var failures: [ObjectStore.Failure] = []
    /// Deleted by the last try.
    var fresh: Set<String> = []
    /// Whether a try had no answer.
    var isUncertain = false
    var late = 0

    init(_ objects: [ObjectStore.Object]) {
        self.sizes = Dictionary(objects.map { ($0.key, $0.size) }) { first, _ in first }
        self.left = objects.map(\.key)
    }

    var bytes: Int { self.deleted.reduce(0) { $0 + (self.sizes[$1] ?? 0) } }

    mutating func note(_ deletion: ObjectStore.Deletion) {
        self.fresh = deletion.deleted
        self.deleted.formUnion(deletion.deleted)
        let transient = Set(deletion.failures.filter { StorageError.isTransient($0.code) }.map(\.key))
        self.failures = self.failures.filter { !StorageError.isTransient($0.code) } + deletion.failures
        self.left = self.left.filter(transient.contains)
        // Every key has its answer now, but for those that an answer left out.
        self.isUncertain = deletion.failures.contains { $0.code == StorageError.unmentioned }
    }

    mutating func keep(_ key: String, isGone: Bool) {
        self.left.removeAll { $0 == key }
        guard isGone else { return }
        self.deleted.insert(key)
        self.late += 1
    }
}
