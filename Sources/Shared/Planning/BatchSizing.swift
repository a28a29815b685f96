/// How large the next batches of a run should be.
///
/// The unit is blocks for the block strategy and rows for the others. A run starts with the cost model's guess and goes on
/// with what its own batches took.
package struct BatchSizing: Sendable, Equatable {
    /// Units in the next batch.
    package var units: Int

    /// The first guess.
    ///
    /// - `duration`: what a batch should take.
    /// - `fixedRows`: `--batch-rows`, which switches guessing and adapting off.
    init(first strategy: Strategy, estimate: Estimate, duration: Duration, fixedRows: Int?) {
        let budget = duration / .microseconds(1)
        let wanted: Double
        switch (strategy, fixedRows) {
        case (.block, let rows?): wanted = Double(rows) / max(estimate.density, 0.001)
        case (.block, nil): wanted = budget / (CostModel.block + estimate.density * estimate.rowCost)
        case (_, let rows?): wanted = Double(rows)
        case (.group, nil): wanted = budget / (estimate.rowCost + CostModel.scattered)
        case (_, nil): wanted = budget / estimate.rowCost
        }
        self.units = Int(min(max(wanted, 1), Self.largest))
    }

    /// The next size, from what the run has measured so far.
    ///
    /// Half way to the measured optimum, and never more than four times the last: one lucky batch must not make the next
    /// one last for seconds.
    package init(after last: Int, measured: (units: Int, duration: Duration)?, target: Duration) {
        guard let measured, measured.units > 0, measured.duration > .zero else {
            self.units = last
            return
        }
        let optimum = Double(measured.units) * (target / measured.duration)
        let next = min(max((Double(last) + optimum) / 2, Double(last) / 4), Double(last) * 4)
        self.units = Int(min(max(next, 1), Self.largest))
    }

    /// Beyond a million units a batch's WAL, and what is lost when it fails, grow without making anything faster.
    private static let largest = 1_000_000.0
}
