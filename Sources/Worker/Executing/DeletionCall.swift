import Shared

/// The keys of one list, on their way.
struct DeletionCall {
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
