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
    func `a run of a few large batches is cut into sixteen, by blocks into eight`(_ strategy: Strategy) {
        let size = Self.size(strategy, Self.estimate(1_000_000))
        let units = strategy == .block ? 20_000 : 1_000_000
        let fewest = strategy == .block ? 8 : 16
        #expect((fewest...fewest + 4).contains((units + size.units - 1) / size.units), "\(size)")
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
        #expect(size.units == Self.size(.block, Self.estimate(500_000_000, groups: 400_000)).units)
    }

    @Test func `a fixed size stays`() {
        #expect(Self.size(.window, Self.estimate(1_000), fixedRows: 7).units == 7)
        var estimate = Self.estimate(1_000_000)
        estimate.isInOrder = true
        let size = Self.size(.block, estimate, fixedRows: 500)
        #expect(stride(from: 0, to: 20_000, by: 10).allSatisfy { size.blocks(from: $0, end: 20_000) == 10 }, "\(size)")
        #expect(Self.size(.window, Self.estimate(1_000_000), fixedRows: 500_000).units == 500_000)
    }

    /// The sizes of all batches of a plan by blocks.
    private static func sizes(_ size: BatchSizing, end: Int) -> [Int] {
        var sizes: [Int] = []
        while sizes.reduce(0, +) < end { sizes.append(size.blocks(from: sizes.reduce(0, +), end: end)) }
        return sizes
    }

    @Test func `batches shrink towards the end, down to the least`() {
        let sizes = Self.sizes(BatchSizing(units: 100, least: 25, most: 400), end: 1_000)
        #expect(sizes == [100, 100, 100, 100, 100, 100, 100, 100, 66, 44, 30, 25, 25, 25], "\(sizes)")
        #expect(Self.sizes(BatchSizing(units: 100, least: 100, most: 400), end: 250) == [100, 100, 100])
    }

    @Test func `where hardly any row is expected to be expired, batches are large`() {
        var estimate = Self.estimate(1_000_000)
        estimate.rows = 250_000
        #expect(Self.size(.block, estimate).sparse == nil, "expired rows may be anywhere")
        estimate.isInOrder = true
        let size = Self.size(.block, estimate)
        #expect(size.sparse?.from == 5_000)
        let sizes = Self.sizes(size, end: 20_000)
        let dense = sizes.prefix { $0 <= size.units }
        #expect(dense.reduce(0, +) >= 5_000 && dense.dropLast().reduce(0, +) < 5_000, "\(sizes)")
        #expect(sizes.dropFirst(dense.count).allSatisfy { $0 > size.units }, "\(sizes)")
        // Four times the time at most, if all of them are expired after all.
        let worst = Double(size.sparse?.units ?? 0) * (CostModel.block + 50 * CostModel.row)
        #expect((800_000...1_000_000).contains(worst))
        #expect(Self.size(.window, estimate).sparse == nil)
    }

    @Test func `behind the expired rows, too, batches follow what was measured`() {
        let size = BatchSizing(units: 100, least: 25, most: 4_000, sparse: .init(from: 500, units: 350))
        func behind(_ size: BatchSizing) -> Int { size.blocks(from: 500, end: 9_000) }
        #expect(behind(size) == 350)
        let slow = size.next(measured: (100, .seconds(100)), target: .milliseconds(250))
        #expect(slow.units == 50 && behind(slow) == 200, "\(slow)")
        let quick = slow.next(measured: (100, .milliseconds(1)), target: .milliseconds(250))
        #expect(quick.units == 200 && behind(quick) == 350, "\(quick)")
        let quickest = quick.next(measured: (100, .microseconds(1)), target: .milliseconds(250))
        #expect(quickest.units == 800 && behind(quickest) == 800, "\(quickest)")
    }

    @Test(arguments: [
        BatchSizing(units: 100, least: 25, most: 400),
        BatchSizing(units: 100, least: 100, most: 100),
        BatchSizing(units: 1, least: 1, most: 1),
        BatchSizing(units: 100, least: 25, most: 400, sparse: .init(from: 700, units: 350)),
        BatchSizing(units: 100, least: 25, most: 400, sparse: .init(from: 0, units: 10)),
        BatchSizing(units: 100, least: 25, most: 400, sparse: .init(from: 5_000, units: 350)),
    ])
    func `batches are counted as they are cut`(_ size: BatchSizing) {
        for blocks in [0, 1, 24, 99, 100, 101, 299, 300, 301, 399, 400, 699, 700, 701, 1_000, 3_210] {
            #expect(size.batches(of: blocks) == Self.sizes(size, end: blocks).count, "\(blocks)")
        }
    }

    @Test func `wide rows are not read by the hundred megabytes`() {
        let estimate = Estimate(
            rows: 1_000,
            blocks: 500_000,
            total: 1_000_000,
            references: ReferenceCosts(keys: [], cascades: [], perRow: 0),
            isInOrder: true
        )
        #expect(Self.size(.block, estimate).sparse.map { $0.units < 8_192 } == true)
    }
}
