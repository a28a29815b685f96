import Synchronization

/// Whether the batches of a run begin with a plain delete that a foreign key may refuse; see `RangeStatement.optimistic`.
///
/// A refused delete has cost about half of what the batch takes after it. So after each refusal more batches go without,
/// until where rows hang on each other all over the table hardly any tries.
final class Optimism: Sendable {
    private struct Caution {
        /// Batches that are still to go without a try.
        var left = 0
        /// Batches that go without after the next refusal.
        var next = Optimism.first
    }

    private static let first = 4
    private static let growth = 4
    private static let most = 256
    /// Runs that are remembered; a forgotten one is only tried again.
    private static let mostRuns = 100

    private let runs = Mutex<[String: Caution]>([:])

    /// Whether the next batch of a run should try.
    func tries(_ run: String) -> Bool {
        self.runs.withLock { runs in
            guard let caution = runs[run], caution.left > 0 else { return true }
            runs[run]?.left -= 1
            return false
        }
    }

    /// Notes that a delete was refused.
    func refused(_ run: String) {
        self.runs.withLock { runs in
            if runs.count >= Self.mostRuns, runs[run] == nil { runs = [:] }
            var caution = runs[run] ?? Caution()
            caution.left = caution.next
            caution.next = min(caution.next * Self.growth, Self.most)
            runs[run] = caution
        }
    }
}
