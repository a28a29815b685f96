import Testing

@testable import Shared

/// How large a run's batches are before anything was measured.
@Suite struct BatchSizingTests {
    private static func estimate(_ rows: Double, groups: Double? = nil) -> Estimate {
        Estimate(
            rows: rows,
            blocks: rows / 50,
            total: rows,
            references: ReferenceCosts(keys: [], cascades: [], perRow: 0),
            groups: groups,
            keep: groups == nil ? 0 : 1
        )
    }

    private static func size(_ strategy: Strategy, _ estimate: Estimate, fixedRows: Int? = nil) -> BatchSizing {
        BatchSizing(first: strategy, estimate: estimate, duration: .milliseconds(250), fixedRows: fixedRows)
    }

    @Test func `a large run's batches take what a batch should take`() {
        let size = Self.size(.window, Self.estimate(50_000_000))
        #expect(size == BatchSizing(units: 125_000, least: 31_250, most: 250_000))
    }

    @Test(arguments: [Strategy.window, .idRange, .block])
    func `a run of a few large batches is cut into sixteen`(_ strategy: Strategy) {
        let size = Self.size(strategy, Self.estimate(1_000_000))
        let units = strategy == .block ? 20_000 : 1_000_000
        #expect((16...20).contains((units + size.units - 1) / size.units), "\(size)")
        // What the run measures may make them as large as usual, but not larger.
        let usual = Self.size(strategy, Self.estimate(500_000_000))
        #expect((size.units...usual.units).contains(size.most), "\(size), \(usual)")
    }

    @Test func `a small run's batches are not smaller than a quarter`() {
        #expect(Self.size(.window, Self.estimate(1_000)).units == 31_250)
        #expect(Self.size(.window, Self.estimate(0)).units == 31_250)
    }

    @Test func `what proves many pivots in each batch is not cut smaller for it`() {
        let size = Self.size(.block, Self.estimate(1_000_000, groups: 400_000))
        #expect(size.units == size.least)
        #expect(size.units > 20_000 / 16)
    }

    @Test func `a fixed size stays`() {
        #expect(Self.size(.window, Self.estimate(1_000), fixedRows: 7).units == 7)
        #expect(Self.size(.window, Self.estimate(1_000_000), fixedRows: 500_000).units == 500_000)
    }
}
