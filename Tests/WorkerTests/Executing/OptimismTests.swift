import Testing

@testable import Worker

@Suite struct OptimismTests {
    /// How many batches of a run go without a try before the next one tries.
    private func pause(_ optimism: Optimism, _ run: String = "a") -> Int {
        var count = 0
        while !optimism.tries(run) { count += 1 }
        return count
    }

    @Test func `each refusal makes it rarer, up to a limit, and each run has its own`() {
        let optimism = Optimism()
        #expect(optimism.tries("a") && optimism.tries("a"))
        for expected in [4, 16, 64, 256, 256] {
            optimism.refused("a")
            #expect(self.pause(optimism) == expected)
            #expect(optimism.tries("b"))
        }
    }

    @Test func `it forgets, and then tries`() {
        let optimism = Optimism()
        optimism.refused("a")
        for run in 0..<200 { optimism.refused("\(run)") }
        #expect(optimism.tries("a"))
    }
}
