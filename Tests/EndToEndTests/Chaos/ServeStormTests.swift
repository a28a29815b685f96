import Foundation
import PostgresClient
import Synchronization
import Testing

/// Replicas of `producer serve`, killed and started again at random, two of them with clocks that are an hour wrong, and a
/// database that crashes now and then: each minute has its run, and one only.
@Suite(.timeLimit(.minutes(120))) struct `A storm over schedules` {
    private static let schedule = "schedules: {every: {cron: '* * * * *', targets: Events}}\n"

    /// How many minutes have to have their run: three in `make test`, more in `make serve-storm`.
    private static let minutes =
        ProcessInfo.processInfo.environment["EBB_STORM_MINUTES"].flatMap { Int($0) } ?? 3

    @Test func `fires each slot exactly once`() async throws {
        try await withPostgresSandbox(Events.target() + Self.schedule) { sandbox, server in
            var sandbox = sandbox
            sandbox.environment["EBB_OUTAGES_MAX_PAUSE"] = "1s"
            try await sandbox.createEvents(2_000)
            let library = try await SkewedClock.build(in: sandbox.directory)
            let storm = ServeStorm(sandbox: sandbox, server: server, library: library)
            let figures = try await sandbox.withWorkers(1) { _ in try await storm.blow(minutes: Self.minutes) }

            let slots = try await storm.slots()
            let runs = slots.map(\.runs).reduce(0, +)
            #expect(slots.count >= Self.minutes)
            #expect(slots.allSatisfy { $0.runs == 1 && $0.epoch.isMultiple(of: 60) }, "\(slots)")
            #expect(try await storm.gaps() == [], "minutes without a run, and without one that was not over: \(slots)")
            let late = slots.map(\.lateness).max() ?? 0
            print(
                "\(slots.count) slots, \(runs) runs, \(figures.kills) kills of serve (\(figures.atTheMinute) within half a "
                    + "second of a slot), \(figures.crashes) crashes of PostgreSQL; the latest run began "
                    + "\((late * 10).rounded() / 10) s after its slot"
            )
        }
    }
}

/// Says once and for all that something has come about.
private final class Flag: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { self.value.withLock { $0 } }

    func set() { self.value.withLock { $0 = true } }
}

/// What happens to the replicas, and what they do meanwhile.
private struct ServeStorm: Sendable {
    let sandbox: Sandbox
    let server: PostgresServer
    let library: String

    struct Figures: Sendable {
        var kills = 0
        var atTheMinute = 0
        var crashes = 0
    }

    struct Slot: Sendable {
        var epoch: Int
        var runs: Int
        /// Seconds from the slot to the run's creation.
        var lateness: Double
    }

    /// Lets the storm blow until so many minutes have passed and their runs are over.
    func blow(minutes: Int) async throws -> Figures {
        let end = Flag()
        return try await withThrowingTaskGroup(of: Figures.self) { group in
            for skew in [0, 3_600, -3_600] {
                group.addTask {
                    var figures = Figures()
                    while !end.isSet {
                        if try await self.live(skew: skew, isOver: { end.isSet }) { figures.kills += 1 }
                    }
                    return figures
                }
            }
            group.addTask {
                // Where it matters most: while slots are being settled.
                var figures = Figures()
                while !end.isSet {
                    try await self.untilJustAroundAMinute { end.isSet }
                    let serving = try ProcessTable.pids(with: "EBB_NAMESPACE", self.sandbox.namespace)
                        .filter { Self.isServe($0) }
                    if let victim = serving.randomElement(), !end.isSet {
                        kill(pid_t(victim), SIGKILL)
                        figures.atTheMinute += 1
                    }
                    // Past this minute, or it would be aimed at again; nothing is expected of the time.
                    try await Task.sleep(for: .milliseconds(700))
                }
                return figures
            }
            group.addTask {
                defer { end.set() }
                var figures = Figures()
                for minute in 1...minutes {
                    try await self.untilRuns(minute)
                    // A crash every third minute, at a moment that nobody chose.
                    guard minute % 3 == 1 else { continue }
                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...50_000)))
                    try await self.server.stop(.immediate)
                    try await self.server.start()
                    figures.crashes += 1
                }
                try await self.until("the runs of \(minutes) slots are over", self.unfinished(of: minutes) + " = 0")
                return figures
            }
            return try await group.reduce(into: Figures()) { sum, figures in
                sum.kills += figures.kills
                sum.atTheMinute += figures.atTheMinute
                sum.crashes += figures.crashes
            }
        }
    }

    /// One life of a replica: some seconds from its start, and then a kill, unless the storm ends before; false when it was
    /// not this kill that ended it.
    private func live(skew: Int, isOver: @escaping @Sendable () -> Bool) async throws -> Bool {
        let environment: [String: String?] =
            skew == 0 ? [:] : ["LD_PRELOAD": self.library, "SKEW_SECONDS": "\(skew)"]
        let life = Duration.milliseconds(Int.random(in: 200...9_000))
        let (isKilled, outcome) = try await self.sandbox.during(.producer, ["serve"], environment: environment) {
            serve in
            // A start may take longer than a life.
            try await serve.untilItListens()
            let end = ContinuousClock.now + life
            while ContinuousClock.now < end && serve.isAlive && !isOver() {
                try await Task.sleep(for: .milliseconds(50))
            }
            let isKilled = serve.isAlive
            serve.send(SIGKILL)
            return isKilled
        }
        #expect(outcome.status == .killed(by: SIGKILL), "\(outcome.errors)")
        return isKilled
    }

    private static func isServe(_ pid: Int) -> Bool {
        let arguments = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")?.split(separator: 0) ?? []
        return arguments.last.map { $0.elementsEqual("serve".utf8) } == true
    }

    /// Returns at a random moment within half a second of a full minute.
    private func untilJustAroundAMinute(_ isOver: () -> Bool) async throws {
        let phase = Double.random(in: -0.5...0.5)
        while !isOver() {
            let second = Date.now.timeIntervalSince1970.truncatingRemainder(dividingBy: 60)
            let distance = (60 + phase - second).truncatingRemainder(dividingBy: 60)
            if distance < 0.05 || distance > 59.9 { return }
            try await Task.sleep(for: .seconds(min(distance, 0.5)))
        }
    }

    private func connection() async throws -> PostgresConnection { try await self.server.connect() }

    /// Looks until the answer is yes; the server may be down in between.
    private func until(_ what: String, _ sql: String) async throws {
        // Slots are skipped while a run is not over.
        let deadline = ContinuousClock.now + .seconds(600)
        while true {
            do {
                let connection = try await self.connection()
                let answer = try await connection.query(sql).rows.first?.bool(0)
                await connection.close()
                if answer == true { return }
            } catch let error as PostgresError {
                guard error.isConnectionProblem || error.sqlState == .undefinedTable else { throw error }
            }
            try #require(ContinuousClock.now < deadline, "never happened: \(what)")
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private var runs: String { "\(self.sandbox.namespace).run" }

    private func untilRuns(_ count: Int) async throws {
        try await self.until("\(count) runs", "SELECT count(*) >= \(count) FROM \(self.runs) WHERE schedule = 'every'")
    }

    /// How many runs of the first slots are not finished; at the end another slot may just have fired.
    private func unfinished(of slots: Int) -> String {
        """
        SELECT (SELECT count(*) FROM (SELECT state FROM \(self.runs) WHERE schedule = 'every' ORDER BY slot LIMIT \(slots))
        AS first WHERE state IS DISTINCT FROM 'finished')
        """
    }

    /// The minutes between the first run and the last that have none, although no run before them was in the way.
    func gaps() async throws -> [String] {
        let connection = try await self.connection()
        let rows = try await connection.query(
            """
            SELECT moment
            FROM (SELECT min(slot) AS oldest, max(slot) AS newest FROM \(self.runs) WHERE schedule = 'every') AS ends,
                 generate_series(oldest, newest, interval '1 minute') AS moment
            WHERE NOT EXISTS (
              SELECT FROM \(self.runs) WHERE schedule = 'every'
                AND (slot = moment OR slot < moment AND coalesce(finished_at > moment, true)))
            ORDER BY moment
            """
        ).rows
        await connection.close()
        return rows.compactMap { $0[0] }
    }

    /// The slots that have runs.
    func slots() async throws -> [Slot] {
        let connection = try await self.connection()
        let rows = try await connection.query(
            """
            SELECT extract(epoch FROM slot)::bigint, count(*), (extract(epoch FROM min(created_at) - slot) * 1000)::bigint
            FROM \(self.runs) WHERE schedule = 'every' GROUP BY slot ORDER BY slot
            """
        ).rows
        await connection.close()
        return rows.map { Slot(epoch: $0.int(0) ?? 0, runs: $0.int(1) ?? 0, lateness: Double($0.int(2) ?? 0) / 1_000) }
    }
}
