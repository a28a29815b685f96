import PostgresClient
import RedisClient
import Shared
import Testing

@testable import Worker

/// What an error means, what is done about it, and for how long.
@Suite struct PolicyTests {
    private static func server(_ state: String) -> PostgresError {
        PostgresError(.server, "no", sqlState: SQLState(rawValue: state))
    }

    @Test(arguments: [
        ("40P01", Fault.conflict), ("40001", .conflict), ("55P03", .locked), ("57014", .timeout),
        ("22012", .row), ("23503", .row), ("23505", .row), ("44000", .row), ("P0001", .row), ("P0004", .row),
        ("25006", .serverAway), ("53100", .serverAway), ("53300", .serverAway), ("57P01", .serverAway),
        ("57P03", .serverAway), ("53200", .other), ("53400", .other), ("58030", .other), ("08006", .other),
        ("42501", .run), ("42P01", .run), ("42703", .run), ("3F000", .run), ("0A000", .run),
        ("XX000", .other), ("54000", .other),
    ]) func `an error of the server is sorted by its code`(_ state: String, _ fault: Fault) {
        #expect(Fault(Self.server(state)) == fault)
    }

    @Test func `other errors are sorted by who is at fault`() {
        #expect(Fault(CancellationError()) == .stopped)
        #expect(Fault(PostgresError(.connectionLost, "gone")) == .serverAway)
        #expect(Fault(PostgresError(.connectionFailed, "full", sqlState: .tooManyConnections)) == .serverAway)
        #expect(Fault(PostgresError(.timedOut, "late")) == .serverAway)
        #expect(Fault(RedisError(.connectionLost, "gone")) == .queueAway)
        #expect(Fault(RedisError(.server, prefix: "READONLY", "no")) == .queueAway)
        #expect(Fault(RedisError(.server, prefix: "WRONGTYPE", "no")) == .other)
        #expect(Fault(QueueError("what is this")) == .malformed)
        #expect(Fault(RunContext.Obstacle.otherServer(run: "r")) == .run)
        #expect(Fault(RunContext.Obstacle.otherDefinition(run: "r", target: "t")) == .otherDefinition)
        #expect(Fault(RunContext.Obstacle.unknownRun("r")) == .unknownRun)
        #expect(Fault(PlanningError("no table")) == .run)
    }

    @Test func `only what a row or an unknown cause does costs attempts`() {
        let policy = FailurePolicy(limits: EbbConfiguration().batches)
        func decide(_ fault: Fault, _ tries: Int = 0, _ mode: BatchExecutor.Mode = .waiting) -> FailurePolicy.Decision {
            policy.decide(fault, tries: tries, mode: mode)
        }
        #expect((0...3).map { decide(.conflict, $0) } == [.again, .again, .again, .attempt])
        #expect(decide(.locked) == .withoutLocked)
        #expect(decide(.locked, 0, .skippingLocked) == .split)
        #expect(policy.decide(.locked, tries: 0, mode: .waiting, isSingle: true) == .attempt)
        #expect(decide(.timeout) == .split)
        #expect(decide(.row) == .split)
        #expect(decide(.serverAway) == .outage)
        #expect(decide(.run) == .pauseRun)
        #expect(decide(.otherDefinition) == .decline)
        #expect(decide(.stopped) == .release(after: .zero))
        #expect(decide(.malformed) == .giveUp)
        #expect(decide(.other) == .attempt)
    }

    @Test func `the pause doubles up to its cap, of which between a half and the whole`() {
        var limits = EbbConfiguration().batches
        limits.backoff = .seconds(1)
        limits.maxBackoff = .seconds(60)
        let policy = FailurePolicy(limits: limits)
        #expect(
            (0...7).map { limits.pause(after: $0, random: 1) } == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) }
        )
        #expect(limits.pause(after: 2, random: 0) == .seconds(2))
        #expect(limits.pause(after: Int.max, random: 1) == .seconds(60))
        #expect((0...7).map(policy.isLast) == [false, false, false, false, false, false, false, true])
    }

    @Test func `an open breaker lets nothing through, then one, then all`() {
        var limits = EbbConfiguration().outages
        limits.pause = .seconds(1)
        limits.maxPause = .seconds(3)
        var breaker = CircuitBreaker(limits)
        let start = ContinuousClock.now
        func slots(_ seconds: Double, running: Int = 0) -> Int {
            breaker.slots(free: 4, running: running, now: start + .seconds(seconds))
        }
        #expect(slots(0) == 4)
        // Several that were under way together count once.
        breaker.failed(now: start, random: 1)
        breaker.failed(now: start + .seconds(0.5), random: 1)
        #expect([slots(0), slots(0.99), slots(1), slots(1, running: 1)] == [0, 0, 1, 0])
        breaker.failed(now: start + .seconds(1), random: 1)
        #expect([slots(2.99), slots(3)] == [0, 1])
        breaker.failed(now: start + .seconds(3), random: 1)
        #expect([slots(5.99), slots(6)] == [0, 1], "no longer than the longest pause")
        breaker.succeeded()
        #expect(slots(6) == 4)
        breaker.failed(now: start + .seconds(7), random: 0)
        #expect([slots(7.49), slots(7.5)] == [0, 1], "it begins anew, at the least with half the pause")
    }
}
