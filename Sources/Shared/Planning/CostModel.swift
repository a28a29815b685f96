/// What deleting costs, in microseconds of one backend, measured on PostgreSQL 15 with cached data.
///
/// Only ratios matter: they choose a strategy and the size of a run's first batches; later batches are sized by what the
/// run itself has measured. Sources: `docs/architecture.md`, figures of DESIGN section 5.
enum CostModel {
    /// Reading one heap block and deciding about its rows.
    static let block = 15.0
    /// Deleting one row of a block that is at hand, with its WAL.
    ///
    /// About twice the best case, so that the first batches of a run stay under a second on a slow or cold server, and are
    /// not so small that what lies between batches counts.
    static let row = 2.0
    /// Looking up one row's entry in a referencing, indexed table: 2 to 3.5 while its index is at hand, up to 20 on a busy
    /// server.
    static let reference = 6.0
    /// Asking a referencing table that has not a single block: 2.1 on a free machine.
    static let emptyReference = 2.5
    /// Passing one row of a referencing table that is searched as a whole.
    ///
    /// Measured from 0.065 (1.3 ms for 20,000 notifications) over 0.1 (20 ms for 200,000 narrow rows) to 0.2 (on a busy
    /// machine).
    static let searchedRow = 0.1
    /// Passing one block of it: a bloated table has few rows and many blocks.
    static let searchedBlock = 1.0
    /// Passing one block of an index that is searched as a whole: 0.24 ms for the 140 blocks of 20,000 entries.
    static let searchedIndexBlock = 1.7
    /// Fetching one row through an index from a block that was not at hand.
    static let scattered = 8.0
    /// Walking over one index entry: once to plan, once to verify.
    static let entry = 0.6
    /// Proving one of the rows that `keep_newest` keeps: an entry of an index, and mostly the row, too.
    static let proof = 0.5
    /// WAL of one deleted row, in bytes.
    static let walPerRow = 55.0
    /// WAL of the first change to a block after a checkpoint, in bytes.
    static let walPerBlock = 8_192.0

    /// Looking up what refers to one deleted row.
    static func lookup(_ reference: ReferenceFacts) -> Double {
        switch reference.lookup {
        case .index: Self.reference
        case .wholeIndex(_, let blocks): Self.reference + blocks * Self.searchedIndexBlock
        case .wholeTable where reference.blocks == 0: Self.emptyReference
        case .wholeTable:
            Self.reference + reference.rows * Self.searchedRow + reference.blocks * Self.searchedBlock
        }
    }
}

/// How many rows a rule is expected to take, by the database's statistics.
struct Estimate: Sendable, Equatable {
    /// Expired rows.
    var rows: Double
    /// Blocks of the heap.
    var blocks: Double
    /// Live rows of the table.
    var total: Double
    /// What the foreign keys add.
    var references: ReferenceCosts
    /// Groups of `keep_newest`; nil without that rule, or without statistics.
    var groups: Double?
    /// Rows that `keep_newest` keeps of each.
    var keep: Double = 0
    /// Whether the expired rows are the first of the table: it lies in the order of its time column, and nothing but time
    /// decides.
    var isInOrder = false

    /// What each batch pays for proving pivots: all of them where any group's rows can be anywhere.
    func proofs(_ strategy: Strategy) -> Double {
        strategy == .group || strategy == .key ? 0 : (self.groups ?? 0) * self.keep * CostModel.proof
    }

    /// Microseconds of deleting in a batch that is meant to take so many: at least as many as its proofs take, or the run
    /// would mostly prove.
    func work(_ strategy: Strategy, of budget: Double) -> Double {
        max(budget - self.proofs(strategy), self.proofs(strategy))
    }

    /// Deleting one row whose block is at hand, with all lookups, and with what goes by cascade.
    var rowCost: Double { CostModel.row + self.references.perRow }

    var fraction: Double { self.total > 0 ? min(1, self.rows / self.total) : 0 }

    /// Rows expired per block, on average.
    var density: Double { self.blocks > 0 ? self.rows / self.blocks : 0 }
}
