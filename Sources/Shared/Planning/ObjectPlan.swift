package import FoundationEssentials
package import PostgresClient

/// What a target of objects would do now: everything that is decided before the first batch is cut.
///
/// It takes one page of the listing, which also tells the storage's time.
package struct ObjectPlan: Sendable {
    package let target: ObjectTarget
    package let location: String
    package let references: ReferenceLookup
    /// By the storage's clock.
    package let cutoff: Date
    /// Keys that look like the target's, in all.
    package let estimatedKeys: Int
    /// Objects expected to be deleted, and their bytes.
    package let estimatedObjects: Int
    package let estimatedBytes: Int
    package let cut: ObjectCut
    /// Some keys, for people to see how they are looked up.
    package let sample: [String]

    /// Reads one page and asks what of it is referenced; writes nothing.
    ///
    /// - Throws: `PlanningError`, `StorageError`, `PostgresError`.
    package static func make(
        _ target: ObjectTarget,
        minAge: Duration,
        store: ObjectStore,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> ObjectPlan {
        let references = try await ReferenceLookup.resolve(target, connection)
        let page = try await store.page(prefix: target.prefix)
        let cutoff = page.now.addingTimeInterval(-(minAge / .seconds(1)))
        let isKey = target.keys.matcher()
        let own = page.objects.filter { target.kind(of: $0.key, isKey) == .referable }
        let old = own.filter { $0.lastModified < cutoff }
        let referenced = try await references.referenced(among: old.map(\.key), limits: limits, connection)
        let due = old.filter { !referenced.contains($0.key) }
        let factor = Self.factor(page, target)
        let keys = Int(Double(own.count) * factor)
        return ObjectPlan(
            target: target,
            location: store.configuration.location,
            references: references,
            cutoff: cutoff,
            estimatedKeys: keys,
            estimatedObjects: Int(Double(due.count) * factor),
            estimatedBytes: Int(Double(due.reduce(0) { $0 + $1.size }) * factor),
            cut: ObjectCut(target, digits: ObjectCut.digits(keys: keys, target)),
            sample: own.prefix(10).map(\.key)
        )
    }

    /// What looking keys up takes longer than it has to, for want of an index: each page is looked up, and twice more when
    /// something of it is deleted.
    var avoidable: Duration {
        let pages = max(self.cut.count, self.estimatedKeys / ObjectStore.most + 1)
        let lookups = Double(pages) * (self.estimatedObjects > 0 ? 3 : 1)
        return self.references.columns.reduce(.zero) { $0 + $1.avoidable } * lookups
    }

    /// Refuses what would take too long.
    ///
    /// - `most`: what a missing index may cost; nil for no limit.
    /// - Throws: `PlanningError` that names the columns and the indexes to create.
    package func checkReferences(most: Duration?) throws(PlanningError) {
        let slow = self.references.columns.filter { !$0.isIndexed }.sorted { $0.avoidable > $1.avoidable }
        guard let most, let worst = slow.first, self.avoidable > most else { return }
        throw PlanningError(
            "target \(self.target.name): looking up about \(self.estimatedKeys) keys would take about "
                + "\(self.avoidable.rounded) longer than it has to, because \(worst.slowness); "
                + "run \(slow.compactMap(\.createIndex).joined(separator: " ")) first, "
                + "or set EBB_FOREIGN_KEYS_MOST (foreign_keys.most, now \(DurationText.format(most))) higher or to off"
        )
    }

    /// How many times the first page all pages are.
    ///
    /// Digests are spread evenly, so the last key of the page says which part of them it is. Nothing is known of other keys.
    private static func factor(_ page: ObjectStore.Page, _ target: ObjectTarget) -> Double {
        guard page.next != nil, target.keys.hexDigits != nil, let last = page.objects.last?.key else { return 1 }
        let digits = last.dropFirst(target.prefix.count).prefix(12)
        guard let position = Int(digits, radix: 16), position > 0 else { return 1 }
        return max(1, Double(1 << (4 * digits.count)) / Double(position))
    }
}

/// How a run's objects are cut into batches: by prefixes of equal length, which cover all keys that there can be.
package struct ObjectCut: Sendable, Hashable {
    private let prefix: String
    private let leftovers: String?
    private let hasUploads: Bool
    package let digits: Int

    /// More keys than this in a batch make it long, fewer than a page make calls dearer.
    private static let mostKeys = 5_000
    private static let mostDigits = 6

    package init(_ target: ObjectTarget, digits: Int) {
        self.prefix = target.prefix
        self.leftovers = target.leftovers?.prefix
        self.hasUploads = target.multipart != nil
        self.digits = digits
    }

    /// The fewest digits that leave no batch with too many keys.
    static func digits(keys: Int, _ target: ObjectTarget) -> Int {
        guard let most = target.keys.hexDigits else { return 0 }
        var digits = 0
        while digits < min(most, Self.mostDigits), keys >> (4 * digits) > Self.mostKeys { digits += 1 }
        return digits
    }

    private var prefixes: Int { 1 << (4 * self.digits) }

    /// How many batches there are.
    package var count: Int { self.prefixes + (self.leftovers == nil ? 0 : 1) + (self.hasUploads ? 1 : 0) }

    /// The batch at a position from 0.
    package subscript(position: Int) -> ObjectRange {
        if position < self.prefixes {
            let text = String(position, radix: 16)
            return .prefix(
                self.digits == 0
                    ? self.prefix : self.prefix + String(repeating: "0", count: self.digits - text.count) + text
            )
        }
        if let leftovers, position == self.prefixes { return .prefix(leftovers) }
        return .uploads
    }
}
