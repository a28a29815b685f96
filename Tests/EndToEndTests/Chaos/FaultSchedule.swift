/// What happens in a storm, and when; the same for the same seed.
struct FaultSchedule: Sendable {
    /// A fault, due when so many batches of the run are settled.
    struct Entry: Sendable {
        var settled: Int
        var fault: Fault
    }

    let entries: [Entry]

    /// So many batches may be settled before the last fault is over: more than any fault waits for, fewer than there are.
    let gate: Int

    /// The last faults come well before the end, so that something is left for the gate to hold.
    private static let span = 0.01...0.85

    /// - `batches`: how many the run is expected to have.
    init(seed: UInt64, batches: Int, workers: Int, mix: FaultMix) {
        var random = SeededGenerator(seed: seed)
        var faults = mix.faults(workers: workers, &random)
        faults.shuffle(using: &random)
        let moments = faults.map { _ in Int(Double(batches) * Double.random(in: Self.span, using: &random)) }.sorted()
        self.entries = zip(moments, faults).map { Entry(settled: $0, fault: $1) }
        self.gate = ((moments.last ?? 0) + batches) / 2
    }
}

extension FaultSchedule: CustomStringConvertible {
    var description: String {
        self.entries.map { "  after \($0.settled) batches: \($0.fault)" }.joined(separator: "\n")
    }
}

/// How many faults of each kind a storm has.
struct FaultMix: Sendable {
    var workerKills = 0
    var stepKills = 0
    var producerKills = 0
    var freezes = 0
    var postgresRestarts = 0
    var redisRestarts = 0
    var networkFaults = 0
    var locks = 0
    var pauses = 0

    /// SIGKILLs among them.
    var kills: Int { self.workerKills + self.stepKills + self.producerKills }

    /// Faults of these kinds, with whatever else there is to choose about them chosen at random.
    fileprivate func faults(workers: Int, _ random: inout SeededGenerator) -> [Fault] {
        func make(_ count: Int, _ body: (Int) -> Fault) -> [Fault] { (0..<count).map(body) }
        // Longer than a lease, and longer than the server lets a silent transaction live.
        func pastLease() -> Duration { .milliseconds(Int.random(in: 2_300...4_000, using: &random)) }
        var faults: [Fault] = []
        faults += make(self.workerKills) { _ in .killWorker(Int.random(in: 0..<workers, using: &random)) }
        faults += make(self.stepKills) { _ in .killStepOwner }
        faults += make(self.producerKills) { _ in .killProducer }
        faults += make(self.freezes) { _ in
            .freezeWorker(Int.random(in: 0..<workers, using: &random), for: pastLease())
        }
        faults += make(self.postgresRestarts) { .restartPostgres($0.isMultiple(of: 2) ? .immediate : .fast) }
        faults += make(self.redisRestarts) { .restartRedis(kill: $0.isMultiple(of: 2)) }
        faults += make(self.networkFaults) { number in
            .network(number.isMultiple(of: 2) ? .postgres : .redis, Self.networkFault(number / 2, &random))
        }
        faults += make(self.locks) { _ in
            .lockRows(
                Int.random(in: 1...8, using: &random),
                near: .random(in: 0..<1, using: &random),
                for: .milliseconds(Int.random(in: 200...1_500, using: &random))
            )
        }
        faults += make(self.pauses) { _ in .pause(for: .milliseconds(Int.random(in: 100...1_500, using: &random))) }
        return faults
    }

    /// In turn, so that a short storm has every kind too.
    private static func networkFault(_ number: Int, _ random: inout SeededGenerator) -> Proxy.Fault {
        let direction = Proxy.Direction.allCases[Int.random(in: 0...1, using: &random)]
        let time = Duration.milliseconds(Int.random(in: 300...3_500, using: &random))
        return switch number % 5 {
        case 0: .cutAfter(bytes: Int.random(in: 1...4_000, using: &random), direction)
        case 1: .cut
        case 2: .blackHole(direction, for: time)
        case 3: .refuse(for: time)
        default: .delay(.milliseconds(Int.random(in: 1...60, using: &random)), for: time)
        }
    }
}

/// Random numbers that a seed fixes (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
