/// How large the next batches of a run should be.
///
/// The unit is blocks for the block strategy and rows for the others. A run starts with the cost model's guess and goes on
/// with what its own batches took.
package struct BatchSizing: Sendable, Equatable {
    /// Units in the next batch.
    package var units: Int
    /// The fewest units worth a batch: what a batch costs whatever it holds (its pivots, its commit) must not shrink it.
    package var least: Int
    /// The most units that take no more than twice the time if every row in them is expired: density differs within a table,
    /// and a run that has passed a hundred thousand young rows must not take as many expired ones at once.
    package var most: Int
    /// What the estimate says of where hardly any row is expired; only for blocks.
    package var sparse: Sparse?

    /// The end of a table that lies in the order of its time column: young rows, hardly one of them expired.
    package struct Sparse: Sendable, Hashable, Codable {
        /// The block where it begins.
        package var from: Int
        /// Most blocks in a batch there: no more than four times the time if the guess is wrong about every row.
        package var units: Int
    }

    /// The first guess.
    ///
    /// - `duration`: what a batch should take.
    /// - `fixedRows`: `--batch-rows`, which switches guessing and adapting off.
    init(first strategy: Strategy, estimate: Estimate, duration: Duration, fixedRows: Int?) {
        let budget = estimate.work(strategy, of: duration / .microseconds(1))
        let wanted: Double
        switch (strategy, fixedRows) {
        case (.key, _): wanted = 1
        case (.block, let rows?): wanted = Double(rows) / max(estimate.density, 0.001)
        case (.block, nil): wanted = budget / (CostModel.block + estimate.density * estimate.rowCost)
        case (_, let rows?): wanted = Double(rows)
        case (.group, nil): wanted = budget / (estimate.rowCost + CostModel.scattered)
        case (_, nil): wanted = budget / estimate.rowCost
        }
        let dense =
            strategy == .block
            ? CostModel.block + estimate.total / max(estimate.blocks, 1) * estimate.rowCost : estimate.rowCost
        let largest = fixedRows == nil ? 2 * (duration / .microseconds(1)) / dense : Self.largest
        let isProving = estimate.proofs(strategy) > budget / 4
        var (first, most) = (wanted, largest)
        if fixedRows == nil && !isProving {
            // In units of the strategy, as if all rows in them were expired.
            let share =
                estimate.rows * estimate.rowCost / dense / (strategy == .block ? Self.fewestTapered : Self.fewest)
            first = min(wanted, max(share, wanted / 4))
            // The estimate may be far too low, or most of the rows on the way not expired.
            most = min(largest, max(share, wanted))
        }
        self.most = strategy == .key ? 1 : Int(min(max(most, 1), Self.largest))
        self.units = Int(min(max(first, 1), Double(self.most)))
        self.least = isProving || fixedRows != nil ? self.units : max(1, self.units / 4)
        if strategy == .block, fixedRows == nil, estimate.isInOrder {
            let from = Int((estimate.blocks * estimate.fraction).rounded(.up))
            let full =
                CostModel.block + max(estimate.total / max(estimate.blocks, 1), Self.rowsOfFullBlock) * estimate.rowCost
            let most = 4 * (duration / .microseconds(1)) / full
            self.sparse = Sparse(from: from, units: Int(min(max(most, 1), Self.largest)))
        }
    }

    /// How many blocks the batch that begins at `next` has, of a plan that ends at `end`.
    ///
    /// Towards the end of the expired rows batches shrink to the least, so that no slot waits long for the last one.
    func blocks(from next: Int, end: Int) -> Int {
        if let sparse, next >= sparse.from { return max(self.units, min(sparse.units, 4 * self.units)) }
        return min(self.units, max(self.least, (min(sparse?.from ?? end, end) - next) / 3))
    }

    /// How many batches so many blocks come to.
    func batches(of blocks: Int) -> Int {
        let dense = min(self.sparse?.from ?? blocks, blocks)
        // Those of full size at once: a table may have a thousand million blocks.
        var batches = max(0, dense / self.units - 3)
        var next = batches * self.units
        while next < dense {
            next += self.blocks(from: next, end: blocks)
            batches += 1
        }
        guard next < blocks else { return batches }
        let size = self.blocks(from: next, end: blocks)
        return batches + (blocks - next + size - 1) / size
    }

    /// The next size, from what the run has measured so far.
    ///
    /// Half way to the measured optimum, and never more than four times the last: one lucky batch must not make the next
    /// one last for seconds.
    package func next(measured: (units: Int, duration: Duration)?, target: Duration) -> BatchSizing {
        guard let measured, measured.units > 0, measured.duration > .zero else { return self }
        let last = Double(self.units)
        let optimum = Double(measured.units) * (target / measured.duration)
        var next = self
        next.units = Int(min(max((last + optimum) / 2, Double(self.least)), Double(self.most), last * 4))
        return next
    }

    /// The same sizes in larger units: rows as blocks.
    func divided(by ratio: Double) -> BatchSizing {
        func scaled(_ units: Int) -> Int { max(1, Int(Double(units) / ratio)) }
        return BatchSizing(units: scaled(self.units), least: scaled(self.least), most: scaled(self.most))
    }

    package init(units: Int, least: Int, most: Int, sparse: Sparse? = nil) {
        self.units = units
        self.least = least
        self.most = most
        self.sparse = sparse
    }

    /// Into how many batches a run's rows are cut at least, unless they became smaller than a quarter of the usual size: with
    /// a handful of large ones, all slots but one may wait for the last.
    private static let fewest = 16.0
    /// The same for blocks: their last batches are small, so that nobody waits long.
    private static let fewestTapered = 8.0
    /// Where most of the table is empty, its average says little of the rest; 60 is what `TableFacts` guesses.
    private static let rowsOfFullBlock = 60.0
    /// Beyond a million units a batch's WAL, and what is lost when it fails, grow without making anything faster.
    private static let largest = 1_000_000.0
}
