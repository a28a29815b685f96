import FoundationEssentials
import Logging
import PostgresClient
import Shared

/// One attempt at a batch of objects.
///
/// Every call that deletes goes through the same order: the list into the ledger, a look at the references, the call, another
/// look, the confirmation. What a call did that was never confirmed is found out at the end of the run; see `ListSettlement`.
struct ObjectBatch {
    var claim: Ledger.ObjectClaim
    let context: ObjectContext
    let ledger: Ledger
    let limits: TransactionSettings.TimeLimits
    let logger: Logger
    let connection: PostgresConnection
    private let isKey: (Substring) -> Bool

    /// Found, due, and not yet in a call.
    private var due: [ObjectStore.Object] = []
    /// Keys that the storage does not delete, though it was asked properly.
    var refused: [String] = []
    /// What it said of the last of them.
    var refusal: BatchError?
    /// Whether any call of this attempt has deleted anything.
    var hasDeleted = false

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
    }

    /// So many keys, all refused: it is no matter of single keys.
    private static let manyRefused = 10

    /// Whether a range is better tried again as a whole than by its refused keys, each of which would use attempts of its own.
    ///
    /// A storage that allows no deletion at all says so of each key. Keys that were split off are refused by nature.
    func isRefused(_ range: ObjectRange) -> Bool {
        guard case .prefix = range else { return false }
        return !self.hasDeleted && self.refused.count >= Self.manyRefused
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

    func referenced(among keys: [String]) async throws -> Set<String> {
        try await self.context.referenced(among: keys, limits: self.limits, self.connection)
    }

    /// Deletes what is due in calls of 1,000 keys, as long as so many are due.
    private mutating func delete(atLeast least: Int) async throws {
        while self.due.count >= least {
            let objects = Array(self.due.prefix(ObjectStore.most))
            self.due.removeFirst(objects.count)
            try await self.delete(objects)
        }
    }

    // MARK: Uploads in parts

    /// Aborts what nobody has completed, as far as the storage lets it; without, the run goes on.
    private func abortUploads() async throws {
        guard let cutoff = self.context.uploadsCutoff else { return }
        var aborted = 0
        do {
            try await self.abortUploads(before: cutoff, &aborted)
        } catch let error as StorageError where error.kind == .refused {
            self.logger.log(
                .warning,
                "uploads in parts stay; allow s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or leave multipart out",
                [.run: "\(self.claim.run)", .error: "\(error)"]
            )
        }
        if aborted > 0 {
            self.logger.log(.info, "uploads in parts were aborted", [.run: "\(self.claim.run)", .count: "\(aborted)"])
        }
    }

    private func abortUploads(before cutoff: Date, _ aborted: inout Int) async throws {
        let store = self.context.store
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
    }
}
