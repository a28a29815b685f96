import Shared

/// The keys of one list, on their way.
struct DeletionCall {
    private let objects: [String: ObjectStore.Object]
    /// Still to be deleted, in order.
    private(set) var left: [String]
    private(set) var deleted: Set<String> = []
    /// What the storage does not delete, and why.
    private(set) var refused: [ObjectStore.Failure] = []
    /// Of the last answer, what may succeed yet.
    private var failing: [ObjectStore.Failure] = []
    /// Deleted since the references were looked at last.
    var fresh: Set<String> = []
    /// Whether a try had no answer.
    var isUncertain = false
    var late = 0

    init(_ objects: [ObjectStore.Object]) {
        self.objects = Dictionary(objects.map { ($0.key, $0) }) { first, _ in first }
        self.left = objects.map(\.key)
    }

    var bytes: Int { self.deleted.reduce(0) { $0 + (self.objects[$1]?.size ?? 0) } }

    mutating func note(_ deletion: ObjectStore.Deletion) {
        self.fresh = deletion.deleted
        self.deleted.formUnion(deletion.deleted)
        self.refused += deletion.failures.filter { !StorageError.isTransient($0.code) }
        self.failing = deletion.failures.filter { StorageError.isTransient($0.code) }
        self.left = self.left.filter(Set(self.failing.map(\.key)).contains)
        // Every key has its answer now, but for those that an answer left out.
        self.isUncertain = deletion.failures.contains { $0.code == StorageError.unmentioned }
    }

    /// What a listing shows of the keys that are left, after a try.
    ///
    /// What is gone counts as deleted by it. What was written since stays: it is somebody's, and not what was found due.
    mutating func note(_ there: [String: ObjectStore.Object]) {
        self.fresh = Set(self.left.filter { there[$0] == nil })
        self.deleted.formUnion(self.fresh)
        self.left = self.left.filter { there[$0] != nil && there[$0]?.lastModified == self.objects[$0]?.lastModified }
    }

    /// Counts what is left as refused, after an answer and a look at what is there.
    mutating func giveUp() {
        self.refused += self.failing.filter { self.left.contains($0.key) }
        self.left = []
        self.isUncertain = false
    }

    mutating func keep(_ key: String, isGone: Bool) {
        self.left.removeAll { $0 == key }
        guard isGone else { return }
        self.deleted.insert(key)
        self.late += 1
    }
}
