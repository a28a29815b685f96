import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Producer
@testable import Shared

@Suite(.timeLimit(.minutes(5))) struct MaintenanceViewTests {
    private static func stage(
        _ kind: String,
        _ state: StageState = .finished,
        rows: Int = 0,
        detail: [String: JSONValue]? = [:]
    ) -> StageRecord {
        StageRecord(
            position: 0,
            name: "S",
            kind: kind,
            subject: "S",
            state: state,
            startedAt: "2031-05-21T03:00:00Z",
            rows: rows,
            detail: detail.map { .object($0) }
        )
    }

    @Test(arguments: [
        (Self.stage("target", rows: 0), "S: finished, 0 rows deleted"),
        (Self.stage("target", rows: 1, detail: nil), "S: finished, 1 row deleted"),
        (Self.stage("target", .failed, rows: 2_000), "S: failed, 2 000 rows deleted"),
        (Self.stage("target", .off), "S: off"),
        (Self.stage("sweep", detail: ["deleted": .int(1)]), "S: finished, 1 session deleted"),
        (
            Self.stage("index", detail: ["created": .int(1), "present": .int(16), "skipped": .array([.string("a")])]),
            "S: finished, 1 index created, 16 there already, 1 skipped"
        ),
        (Self.stage("index", .failed, detail: nil), "S: failed"),
        (
            Self.stage("vacuum", detail: ["vacuumed": .array([.string("a"), .string("b")])]),
            "S: finished, 2 tables vacuumed"
        ),
        (Self.stage("vacuum", .skipped), "S: skipped"), (Self.stage("hook"), "S: finished"),
    ])
    func `a stage's line says what it has done`(_ stage: StageRecord, _ line: String) {
        #expect(MaintenanceView.line(of: stage) == line)
    }

    @Test func `sessions are no rows, and stages that were off from the start are told`() async throws {
        final class Lines: ProcedureObserver {
            let told = Mutex<[String]>([])

            func note(_ news: ProcedureNews) async {
                if case .stageEnded(_, let stage) = news {
                    self.told.withLock { $0.append(MaintenanceView.line(of: stage)) }
                }
            }
        }
        let settings = """
            presets: []
            hooks: {Good: {command: {argv: [/bin/true]}}}
            procedure: {stages: [{hook: Good, enabled: off}, {hook: Good, name: Left}, {sweep: sessions}]}
            sessions: {keys: "${SESSIONS}:{token}", last_used: {json: seen}, lifetime: 1h}
            """
        try await withTestBed(settings: settings, variables: ["SESSIONS": "unknown yet"]) { bed in
            let prefix = "{\(bed.namespace)}:product"
            let bed = try bed.with(["SESSIONS": prefix])
            for user in ["alice", "bob"] {
                _ = try await bed.queue.redis.send("SET", "\(prefix):\(user)", "{\"seen\":1}")
            }
            let lines = Lines()
            let record = try await bed.procedure(selection: StageSelection(skip: ["Left"]), [lines])
            #expect(record.rows == 0 && record.sessions == 2)
            #expect(
                lines.told.withLock { $0 } == [
                    "Good: off: it is switched off", "sessions: finished, 2 sessions deleted",
                ]
            )
            #expect(MaintenanceView.summary(of: record) == "finished, 0 rows and 2 sessions deleted")
        }
    }

    @Test func `that no worker is alive is told once`() async throws {
        let settings = "presets: []\nprocedure: {stages: [{target: Rows}]}\n"
        let variables = [
            "EBB_LEASES_DURATION": "2s", "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms",
            "EBB_BATCHES_IDLE_TIMEOUT": "700ms",
        ]
        let target = "  Rows: {table: things, key: id, max_age: {column: at, age: 1d}}\n"
        try await withTestBed(targets: target, settings: settings, variables: variables) { bed in
            try await bed.run(
                "CREATE TABLE things (id integer PRIMARY KEY, at timestamptz)",
                "INSERT INTO things VALUES (1, now() - interval '2 days')"
            )
            let log = MessageLog()
            let observers: [any ProcedureObserver] = [
                ProcedureLog(logger: log.logger), try ProcedureTeller(bed.services, bed.queue),
            ]
            let executor = try bed.executor(observers)
            guard case .owned(let record, true) = try await bed.begin(executor) else {
                throw UnexpectedState("it did not begin")
            }
            let work = Task { try await executor.execute(record, isNew: true) }
            func waits() async throws -> [EbbEvent] {
                try await bed.queue.events.latest(100).filter { $0.description.contains("no worker is alive") }
            }
            try await eventually("it is told") { try await !waits().isEmpty }
            work.cancel()
            await #expect(throws: CancellationError.self) { try await work.value }
            #expect(try await waits().map(\.description) == ["Rows: waiting, since no worker is alive; start worker"])
            #expect(log.count("warning no worker is alive") == 1)
        }
    }

    @Test func `text of several lines is one cell of a table, cut where it is too long`() {
        #expect(Output.line("where a\n    = 1\n") == "where a = 1")
        #expect(Output.line("a  b") == "a  b" && Output.line("", most: 3) == "")
        #expect(Output.line("abc", most: 3) == "abc" && Output.line("abcd", most: 3) == "ab…")
        #expect(Output.count(1, "row") == "1 row" && Output.count(0, "row") == "0 rows")
        #expect(Output.count(4_000_000, "row") == "4 000 000 rows")
    }
}
