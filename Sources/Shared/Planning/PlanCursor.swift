import FoundationEssentials

/// How far a plan generation has come; kept in Redis with the run and moved on by compare-and-set.
package struct PlanCursor: Sendable, Hashable, Codable {
    /// What the rest is cut by.
    ///
    /// A window or id range that meets one value with too many rows goes on by blocks.
    package var strategy: Strategy
    /// The number of the next batch, from 1.
    package var sequence: Int
    /// The size of the next batches, and the bounds of what it may become; see `BatchSizing`.
    package var units: Int
    package var least: Int
    package var most: Int
    package var sparse: BatchSizing.Sparse?
    /// Where the next batch starts: a block, a value, or an ordinal.
    package var next: String
    /// Where the plan ends, for blocks and ordinals; values end at the run's cutoff.
    package var end: Int
    /// Inside the group `next`: the value of its first order column where the next batch starts.
    package var slice: String?

    package init(strategy: Strategy, sizing: BatchSizing, next: String, end: Int) {
        self.strategy = strategy
        self.sequence = 1
        self.units = sizing.units
        self.least = sizing.least
        self.most = sizing.most
        self.sparse = sizing.sparse
        self.next = next
        self.end = end
        self.slice = nil
    }

    /// The size of the next batches.
    package var sizing: BatchSizing {
        get { BatchSizing(units: self.units, least: self.least, most: self.most, sparse: self.sparse) }
        set {
            self.units = newValue.units
            self.least = newValue.least
            self.most = newValue.most
            self.sparse = newValue.sparse
        }
    }

    /// The text in Redis; equal cursors have equal texts.
    package var encoded: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do {
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        } catch {
            preconditionFailure("JSON refused strings and integers: \(error)")
        }
    }

    /// - Throws: `QueueError` when the text is none of ours.
    package init(encoded text: String) throws(QueueError) {
        do { self = try JSONDecoder().decode(PlanCursor.self, from: Data(text.utf8)) } catch {
            throw .malformed("plan cursor \(text.prefix(200))", accepted: "what Ebb wrote there; run the target anew")
        }
    }
}

/// A batch before it is queued.
package struct PlannedBatch: Sendable, Hashable {
    package var range: BatchRange
    /// How much it is meant to hold, in blocks or rows; 0 when its time must not count for sizing.
    package var units: Int
}

/// A chunk of batches, and where the plan stands after it.
package struct PlannedChunk: Sendable {
    package var batches: [PlannedBatch]
    package var cursor: PlanCursor
    package var isComplete: Bool
}
