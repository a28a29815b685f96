import Foundation
import PostgresClient
import RedisClient
import Synchronization
import Testing

/// One run of Ebb under fire: a table, a fleet of programs, a schedule of faults, and the count at the end.
///
/// All that is random about it comes from the seed; when exactly a fault strikes is up to the machine.
struct Storm: Sendable {
    let seed: UInt64
    let rows: Int
    let mix: FaultMix
    /// Rows that a trigger protects, spread over the table; the run fails with exactly these.
    let poison: [Int]

    let keepsNewest: Bool
    let strategy: String

    static let workers = 4
    static let batchRows = 300

    /// What strategies there are for which rule; the seeds 1 to 5 go through them all.
    private static let shapes = [
        (keepsNewest: true, strategy: "group"), (true, "block"), (false, "window"), (true, "window"), (false, "block"),
    ]

    /// Leases so short that what a killed process held is free again soon; see the settings' own rule.
    static let shortLeases = [
        "EBB_LEASES_DURATION": "2s",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "900ms",
        "EBB_BATCHES_IDLE_TIMEOUT": "700ms",
        "EBB_BATCHES_LOCK_TIMEOUT": "300ms",
        "EBB_BATCHES_BACKOFF": "50ms",
    ]

    init(seed: UInt64, rows: Int, mix: FaultMix, poison: Bool = false) {
        self.seed = seed
        self.rows = rows
        self.mix = mix
        (self.keepsNewest, self.strategy) = Self.shapes[Int(seed % UInt64(Self.shapes.count))]
        var random = SeededGenerator(seed: ~seed)
        var numbers: Set<Int> = []
        while poison && numbers.count < 5 {
            let number = Int.random(in: 2_000..<rows, using: &random)
            // Expired, with a time, and not the newest of a source; see `createEvents`.
            if number % 10 < 8 && number % 1_000 != 7 { numbers.insert(number) }
        }
        self.poison = numbers.sorted()
    }

    /// Sets up servers and table, lets the storm go over them, and checks what is left.
    func run() async throws -> StormReport {
        try await withChaosServers { servers in
            let start = ContinuousClock.now
            let sandbox = try await servers.sandbox(
                Events.target(strategy: self.strategy, keepsNewest: self.keepsNewest)
            )
            try await sandbox.createEvents(self.rows, keepsNewest: self.keepsNewest)
            try await self.createPoison(sandbox)
            let expired = try await sandbox.rows() - sandbox.number("SELECT count(*) FROM \(sandbox.schema).survivors")
            let schedule = FaultSchedule(
                seed: self.seed,
                batches: expired / Self.batchRows,
                workers: Self.workers,
                mix: self.mix
            )
            try await self.closeGate(sandbox, after: schedule.gate)
            let site = StormSite(
                servers: servers,
                sandbox: sandbox,
                fleet: Fleet(sandbox, programs: servers.directory + "/programs")
            )
            var report = StormReport(storm: self, schedule: schedule)
            do {
                try await self.rage(site, schedule, &report)
            } catch {
                report.violations.append("\(error)")
            }
            report.violations += site.fleet.complaints + site.violations
            report.faults = site.faults
            report.refusals = site.fleet.refusals
            report.duration = start.duration(to: .now)
            await sandbox.redis.close()
            await sandbox.postgres.close()
            if !report.violations.isEmpty { try report.keepLogs(of: servers) }
            return report
        }
    }

    /// Most kills of whoever verifies.
    private static let verifierKills = 4

    /// Runs the fleet, inflicts the faults, and waits until all is at rest.
    private func rage(_ site: StormSite, _ schedule: FaultSchedule, _ report: inout StormReport) async throws {
        let enqueue = ["enqueue", "Events", "--batch-rows", String(Self.batchRows), "--wait", "--json"]
        try await withThrowingTaskGroup { group in
            for number in 0..<Self.workers { group.addTask { try await site.fleet.keepWorker(number) } }
            group.addTask { try await site.fleet.keepProducer(enqueue) { await site.isRunOver() } }
            do {
                try await site.waitForRun()
                try await site.inflict(schedule)
                try await site.openGate()
                try await site.killVerifiers(Self.verifierKills)
                let invariants = Invariants(site: site, storm: self)
                report.violations += try await invariants.violationsAtRest()
                site.fleet.stop()
                try await group.waitForAll()
                report.violations += try await invariants.violationsInTheEnd()
                report.deleted = try await invariants.deleted()
            } catch {
                site.fleet.stop(SIGKILL)
                throw error
            }
        }
    }

    /// What the poison rows have in their column `body`.
    var poisonBodies: [String] { self.poison.map { "event \($0)" } }

    private func createPoison(_ sandbox: Sandbox) async throws {
        guard !self.poison.isEmpty else { return }
        let bodies = self.poisonBodies.map { "'\($0)'" }.joined(separator: ", ")
        try await sandbox.execute(
            """
            CREATE FUNCTION \(sandbox.schema).refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'poison: %', OLD.body; END $$
            """,
            """
            CREATE TRIGGER poison BEFORE DELETE ON \(sandbox.schema).events FOR EACH ROW
            WHEN (OLD.body IN (\(bodies))) EXECUTE FUNCTION \(sandbox.schema).refuse()
            """,
            // The oracle: what nobody can delete survives.
            """
            INSERT INTO \(sandbox.schema).survivors SELECT id FROM \(sandbox.schema).events WHERE body IN (\(bodies))
            """
        )
    }

    /// Lets so many batches pass and then no more, until the gate opens: on a busy machine the run would be over before the
    /// last fault.
    ///
    /// To a worker it looks like a server that is away, so that it costs no batch an attempt.
    private func closeGate(_ sandbox: Sandbox, after batches: Int) async throws {
        let schema = sandbox.schema
        try await sandbox.execute(
            "CREATE TABLE \(schema).gate (batches integer)",
            "INSERT INTO \(schema).gate VALUES (\(batches))",
            """
            CREATE FUNCTION \(schema).hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF (SELECT count(*) FROM \(sandbox.namespace).batch WHERE outcome <> 'split')
                > (SELECT batches FROM \(schema).gate)
              THEN RAISE 'the storm is not over' USING ERRCODE = 'operator_intervention'; END IF;
              RETURN NULL;
            END $$
            """,
            """
            CREATE TRIGGER gate BEFORE DELETE ON \(schema).events
            FOR EACH STATEMENT EXECUTE FUNCTION \(schema).hold()
            """
        )
    }
}

/// How a storm went.
struct StormReport: Sendable {
    let storm: Storm
    let schedule: FaultSchedule
    /// What contradicts an invariant, one sentence each.
    var violations: [String] = []
    /// How often each kind of fault struck.
    var faults: [String: Int] = [:]
    var refusals = 0
    var deleted = 0
    var duration = Duration.zero

    init(storm: Storm, schedule: FaultSchedule) {
        self.storm = storm
        self.schedule = schedule
    }

    var kills: Int { self.faults.filter { $0.key.hasPrefix("kill ") && $0.key != "kill redis" }.values.reduce(0, +) }

    /// One line.
    var summary: String {
        let kinds = self.faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let rule = self.storm.keepsNewest ? "keep_newest" : "max_age"
        return "seed \(self.storm.seed) (\(rule), \(self.storm.strategy)): "
            + (self.violations.isEmpty ? "passed" : "FAILED")
            + ", \(self.kills) kills, \(self.deleted) of \(self.storm.rows) rows deleted, "
            + "\(self.duration.components.seconds) s; \(kinds); \(self.refusals) starts while a server was away"
    }

    /// All that is needed to look into a failure.
    var explanation: String {
        self.summary + "\n" + self.violations.map { "  violated: \($0)" }.joined(separator: "\n")
            + "\nthe faults of seed \(self.storm.seed), again with: SEED=\(self.storm.seed) make chaos\n\(self.schedule)"
    }

    /// Copies what the programs and servers have written to a place that outlives them.
    fileprivate mutating func keepLogs(of servers: ChaosServers) throws {
        let folder = NSTemporaryDirectory() + "/ebb-chaos-seed-\(self.storm.seed)-\(UInt16.random(in: .min ... .max))"
        let files = FileManager.default
        try files.copyItem(atPath: servers.directory + "/sandbox", toPath: folder)
        try files.copyItem(atPath: servers.directory + "/postgres/server.log", toPath: folder + "/postgres.log")
        try files.copyItem(atPath: servers.directory + "/redis/server.log", toPath: folder + "/redis.log")
        self.violations.append("logs are in \(folder)")
    }
}
