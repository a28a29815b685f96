/// Lets a few in at a time: Swift Testing starts every case at once, and a server has only so many connections.
actor Gate {
    /// Each bed has some four connections, and PostgreSQL a hundred by default, for all test processes together.
    static let beds = Gate(places: 8)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(places: Int) { self.free = places }

    func enter() async {
        guard self.free == 0 else {
            self.free -= 1
            return
        }
        await withCheckedContinuation { self.waiting.append($0) }
    }

    func leave() {
        if self.waiting.isEmpty { self.free += 1 } else { self.waiting.removeFirst().resume() }
    }
}
