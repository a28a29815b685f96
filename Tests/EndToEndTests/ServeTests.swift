import Foundation
import PostgresClient
import RedisClient
import Testing

/// `producer schedules --json`, with all its fields and their types.
struct ScheduleDocument: Decodable, Sendable {
    var schedule: String
    var target: String
    var cron: String?
    var time_zone: String?
    var jitter_seconds: Double?
    var catch_up_seconds: Double?
    var timeout_seconds: Double?
    var on: Bool
    var reason: String?
    var last_slot: String?
    var settled_at: String?
    var outcome: String?
    var run: String?
    var run_state: String?
    var next_slot: String?
    var next_due: String?
    var seen_at: String?
}

@Suite(.timeLimit(.minutes(5))) struct `Producer serve` {
    private static let schedule = "schedules: {every: {cron: '* * * * *', targets: Events}}\n"

    @Test func `plans and ends runs that workers execute`() async throws {
        try await withSandbox(Events.target() + Self.schedule) { sandbox in
            try await sandbox.createEvents(5_000)
            let before = try await sandbox.rows()
            let (_, serve) = try await sandbox.during(.producer, ["serve"]) { serve in
                // Without a worker, so that planning is left to it.
                let run = try await sandbox.enqueue(batchRows: 100)
                let key = sandbox.key("run:\(run)")
                try await until("it is planned") {
                    try await sandbox.redis.send("HGET", key, "step").string == "drain"
                }
                try await sandbox.withWorkers(1) { _ in try await sandbox.untilState("finished", of: run) }
                try await sandbox.expectEnd(of: run, deletedFrom: before)
                try await serve.stop()
            }
            #expect(serve.status == .exited(0), "\(serve.errors)")
            try await sandbox.expectSurvivors()
        }
    }

    @Test func `waits for servers that are not there yet, rides out their restarts, and stops when told`() async throws
    {
        try await withPostgresSandbox(Events.target() + Self.schedule) { sandbox, server in
            try await sandbox.createEvents(100)
            try await server.stop(.fast)
            let log = sandbox.directory + "/serve.log"
            try await withThrowingTaskGroup { group in
                let started = AsyncStream.makeStream(of: Running.self)
                group.addTask {
                    let outcome = try await sandbox.run(.producer, ["serve"], environment: [:], log: log) {
                        started.continuation.yield($0)
                    }
                    #expect(outcome.status == .exited(0), "\(outcome.errors)")
                }
                var iterator = started.stream.makeAsyncIterator()
                let serve = try #require(await iterator.next())
                func lines(_ fragment: String) throws -> Int {
                    try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
                        .count { $0.contains(fragment) }
                }
                try await until("it waits") { try lines("PostgreSQL is away") > 0 }
                try await server.start()
                try await until("it has begun") { try lines("PostgreSQL is back") > 0 }
                // On a busy machine, a look may fail for other reasons, too.
                let away = try lines("PostgreSQL is away")
                try await server.stop(.immediate)
                try await until("it waits again") { try lines("PostgreSQL is away") > away }
                let back = try lines("PostgreSQL is back")
                try await server.start()
                try await until("it goes on") { try lines("PostgreSQL is back") > back }
                #expect(serve.isAlive)
                try await serve.stop()
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: [
        (["CRON": "* * *"], "CRON: \"* * *\" has 3 fields; accepted: "),
        (["CRON": ""], "CRON: \"\" is empty; accepted: "),
        (["TIMEOUT": "0"], "TIMEOUT: \"0\" is not greater than zero; accepted: "),
        (["DATABASE_URL": "mysql://"], "DATABASE_URL: "),
        (["DATABASE_URL": "WRONG"], "does not exist"),
    ])
    func `is refused at the start in one sentence`(_ variables: [String: String], _ fragment: String) async throws {
        let schedule = "schedules: {s: {cron: \"${CRON:-@daily}\", timeout: \"${TIMEOUT:-1h}\", targets: Events}}\n"
        try await withSandbox(Events.target() + schedule) { sandbox in
            var environment: [String: String?] = variables.mapValues { $0 }
            // A database that a person has to create.
            if variables["DATABASE_URL"] == "WRONG" {
                environment["DATABASE_URL"] = try Servers.databaseURL(adding: "dbname=ebb_nowhere")
            }
            let outcome = try await sandbox.run(.producer, ["serve"], environment: environment)
            #expect(outcome.status == .exited(2), "\(outcome.errors)")
            #expect(outcome.complaints.last?.contains(fragment) == true, "\(outcome.errors)")
            #expect(try await sandbox.leftTraces() == [])
        }
    }
}

@Suite(.timeLimit(.minutes(10))) struct `Producer schedules` {
    private static let configuration =
        Events.target(age: "${AGE}") + """
            presets: [distr]
            schedules:
              nightly: {cron: "0 3 * * *", time_zone: Europe/Berlin, jitter: 5m, catch_up: 24h, timeout: 1h, targets: [Events]}
              never: {cron: "${NEVER_CRON}", targets: [Events]}

            """

    @Test func `lists what is on and off, and why, before anything exists and without Redis`() async throws {
        try await withSandbox(Self.configuration) { sandbox in
            let environment: [String: String?] = [
                "AGE": "30d", "REDIS_URL": "unix:///nonexistent", "METRICS_ENTRIES_MAX_AGE": nil,
                "CLEANUP_DEPLOYMENT_TARGET_METRICS_CRON": "CRON_TZ=Asia/Tokyo 0 * * * *",
                "CLEANUP_DEPLOYMENT_TARGET_METRICS_TIMEOUT": "10m",
            ]
            let outcome = try await sandbox.run(.producer, ["schedules", "--json"], environment: environment)
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            let list = try outcome.json([ScheduleDocument].self)
            let nightly = try #require(list.first { $0.schedule == "nightly" })
            #expect(nightly.on && nightly.reason == nil && nightly.outcome == nil && nightly.seen_at == nil)
            #expect(nightly.time_zone == "Europe/Berlin" && nightly.cron == "0 3 * * *")
            #expect(
                [nightly.jitter_seconds, nightly.catch_up_seconds, nightly.timeout_seconds] == [300, 86_400, 3_600]
            )
            let slot = try Date(try #require(nightly.next_slot), strategy: .iso8601)
            let due = try Date(try #require(nightly.next_due), strategy: .iso8601)
            #expect(slot > .now && (0...300).contains(due.timeIntervalSince(slot)))
            let never = try #require(list.first { $0.schedule == "never" })
            #expect(!never.on && never.reason == "NEVER_CRON is not set" && never.next_slot == nil)
            let metrics = try #require(list.first { $0.timeout_seconds == 600 })
            #expect(!metrics.on && metrics.reason == "METRICS_ENTRIES_MAX_AGE is not set")
            #expect(metrics.time_zone == "Asia/Tokyo")
            #expect(try await sandbox.leftTraces() == [])

            let text = try await sandbox.run(.producer, ["schedules"], environment: environment)
            #expect(text.output.hasPrefix("SCHEDULE"), "\(text.output)")
            #expect(text.output.contains("off: NEVER_CRON is not set"), "\(text.output)")
        }
    }

    @Test func `shows what became of the last slot, and its run`() async throws {
        let schedule = "schedules: {every: {cron: '* * * * *', targets: Events}}\n"
        try await withSandbox(Events.target() + schedule) { sandbox in
            try await sandbox.createEvents(500)
            let list = ["schedules", "--json"]
            @Sendable func read() async throws -> ScheduleDocument? {
                let documents = try await sandbox.run(.producer, list).json([ScheduleDocument].self)
                return documents.first { $0.schedule == "every" }
            }
            let document = try await sandbox.withWorkers(1) { _ in
                try await sandbox.during(.producer, ["serve"]) { serve in
                    var seen: ScheduleDocument?
                    try await until("a slot has come, and its run is over", within: .seconds(240)) {
                        seen = try await read()
                        return seen?.run_state == "finished"
                    }
                    try await serve.stop()
                    return try #require(seen)
                }.value
            }
            #expect(document.outcome == "started")
            #expect(document.last_slot?.hasSuffix(":00Z") == true)
            #expect(document.seen_at != nil && document.settled_at != nil)
            let run = try #require(document.run)
            #expect(try await sandbox.status(of: run).state == "finished")
            // Another slot may have come before it stopped.
            let last = try #require(try await read())
            let text = try await sandbox.producer("schedules").output
            let words = "started \(last.run ?? "") (\(last.run_state ?? ""))"
            #expect(text.contains(words), "\(text)")
            try await sandbox.expectSurvivors()
        }
    }
}
