import Foundation
import PostgresClient
import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct AnnouncerTests {
    /// The announcements of the preset whose product keeps its events in a table, for a table of the test's own.
    private static func settings(channel: String) throws -> String {
        let yaml = Preset.ayon.yaml
        let start = try #require(yaml.firstRange(of: "\nannounce:\n"))
        let rest = yaml[start.upperBound...]
        let end = rest.firstMatch(of: /\n[a-z]/)?.range.lowerBound ?? rest.endIndex
        return "announce:\n" + rest[..<end].replacing("public.", with: "").replacing("pype:c", with: channel) + "\n"
    }

    private static let table = """
        CREATE TABLE events (
          id uuid PRIMARY KEY, hash varchar NOT NULL UNIQUE, topic varchar NOT NULL, sender varchar, sender_type varchar,
          project_name varchar, user_name varchar, depends_on uuid REFERENCES events (id),
          status varchar NOT NULL DEFAULT 'finished'
            CHECK (status IN ('pending', 'in_progress', 'finished', 'failed', 'aborted', 'restarted')),
          retries int NOT NULL DEFAULT 0, description text, summary jsonb NOT NULL DEFAULT '{}',
          payload jsonb NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
          creation_order serial UNIQUE)
        """

    private static func row(_ bed: TestBed) async throws -> [String?] {
        let rows = try await bed.connection.query(
            "SELECT id, hash, topic, status, description, summary::text, payload::text, retries, sender FROM events"
        ).rows
        #expect(rows.count == 1)
        return rows.first.map { row in (0..<9).map { row[$0] } } ?? []
    }

    @Test func `a row is made, changed and ended`() async throws {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            try await bed.run(Self.table)
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            #expect(await announcer.begin(id, description: "Starting") == .told)
            let hash = id.replacing("-", with: "")
            #expect(
                try await Self.row(bed) == [id, hash, "maintenance", "in_progress", "Starting", "{}", "{}", "0", nil]
            )
            #expect(await announcer.update(id, description: "it's {id} $1 \"x\"", progress: 50) == .told)
            #expect(try await Self.row(bed)[4] == "it's {id} $1 \"x\"")
            #expect(
                await announcer.finish(id, failed: true, description: "Failed", summary: #"{"error": "no"}"#) == .told
            )
            #expect(
                try await Self.row(bed)
                    == [id, hash, "maintenance", "failed", "Failed", #"{"error": "no"}"#, "{}", "0", nil]
            )
        }
    }

    @Test func `what the table returns is published, on a channel of its own`() async throws {
        let channel = "channel-" + UUID().uuidString
        try await withTestBed(settings: try Self.settings(channel: channel)) { bed in
            try await bed.run(Self.table)
            let subscriber = RedisClient(configuration: try RedisConfiguration(url: TestServers.redisURL()))
            _ = try await subscriber.send("SUBSCRIBE", channel)
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            await announcer.begin(id, description: "Starting")
            await announcer.update(id, description: "Removing", progress: 42, summary: #"{"counts": {"deleted": 3}}"#)
            await announcer.finish(id, failed: false, description: "Done", summary: "{}")
            var messages: [[String: Any]] = []
            for _ in 0..<3 {
                // What was published meanwhile comes before the answer, so each look finds the next message.
                let text = try #require(try await subscriber.send("PING").array?.last?.string)
                let message = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
                messages.append(try #require(message))
            }
            await subscriber.close()
            let keys: Set = [
                "createdAt", "dependsOn", "description", "id", "project", "recipients", "sender", "senderType",
                "status",
                "summary", "topic", "updatedAt", "user", "progress",
            ]
            #expect(Set(messages[0].keys) == keys.union(["store"]))
            #expect(Set(messages[1].keys) == keys)
            #expect(messages.map { $0["status"] as? String } == ["in_progress", "in_progress", "finished"])
            #expect(messages.map { $0["progress"] as? Double } == [0, 42, 100])
            #expect(messages.allSatisfy { $0["id"] as? String == id.replacing("-", with: "") })
            #expect((messages[1]["summary"] as? [String: Any])?["counts"] as? [String: Int] == ["deleted": 3])
            #expect(messages[0]["project"] is NSNull)
        }
    }

    @Test func `whoever takes over goes on with the row, whether it is there or not`() async throws {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            try await bed.run(Self.table)
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            // Crashed before the row was made.
            #expect(await announcer.update(id, description: "Going on", progress: 10) == .told)
            #expect(try await Self.row(bed)[3] == "in_progress")
            // Crashed after.
            #expect(await announcer.begin(id, description: "Again") == .told)
            #expect(try await Self.row(bed)[4] == "Again")
            try await bed.run("DELETE FROM events")
            #expect(await announcer.finish(id, failed: false, description: "Done", summary: "{}") == .told)
            #expect(try await Self.row(bed)[3] == "finished")
        }
    }

    @Test func `an end stays, whatever somebody says later who has not heard of it`() async throws {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            try await bed.run(Self.table)
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            #expect(await announcer.finish(id, failed: true, description: "Failed", summary: "{}") == .told)
            #expect(await announcer.update(id, description: "Going on", progress: 10) == .refused)
            #expect(await announcer.begin(id, description: "Again") == .refused)
            #expect(await announcer.finish(id, failed: false, description: "Done", summary: "{}") == .refused)
            #expect(try await Self.row(bed)[3...4] == ["failed", "Failed"])
        }
    }

    @Test func `who is told to stop has not told an end`() async throws {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            try await bed.run(Self.table)
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let telling = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await announcer.finish(Announcer.newID(), failed: false, description: "Done", summary: "{}")
            }
            #expect(await telling.value == .unreached)
            #expect(try await bed.int("SELECT count(*) FROM events") == 0)
        }
    }

    @Test func `a table that cannot be used is left alone after the first time, until the end or the next row`()
        async throws
    {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            #expect(await announcer.begin(id, description: "Starting") == .refused)
            try await bed.run(Self.table)
            #expect(await announcer.update(id, description: "x", progress: 1) == .refused)
            #expect(try await bed.int("SELECT count(*) FROM events") == 0)
            #expect(await announcer.finish(id, failed: false, description: "Done", summary: "{}") == .told)
            #expect(try await Self.row(bed)[3] == "finished")
            let next = Announcer.newID()
            #expect(await announcer.begin(next, description: "Starting") == .told)
            try await bed.run("ALTER TABLE events RENAME TO away")
            #expect(await announcer.finish(next, failed: false, description: "Done", summary: "{}") == .unreached)
            try await bed.run("ALTER TABLE away RENAME TO events")
            #expect(await announcer.finish(next, failed: false, description: "Done", summary: "{}") == .told)
            #expect(try await bed.strings("SELECT status FROM events") == ["finished", "finished"])
        }
    }

    @Test func `a value that the table refuses is not the end`() async throws {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            try await bed.run(Self.table)
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            #expect(await announcer.begin(id, description: "Starting") == .told)
            #expect(await announcer.update(id, description: "x", progress: 1, summary: "no JSON") == .refused)
            #expect(await announcer.update(id, description: "y", progress: 1) == .told)
            #expect(try await Self.row(bed)[4] == "y")
        }
    }

    @Test func `an end is told again when it could not be told at once`() async throws {
        try await withTestBed(settings: try Self.settings(channel: "unused")) { bed in
            try await bed.run(
                Self.table,
                "CREATE SEQUENCE tries",
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF nextval('tries') <= 2 THEN RAISE 'not now' USING ERRCODE = '40001'; END IF;
                  RETURN NEW;
                END $$
                """,
                "CREATE TRIGGER refuse BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
            let announcer = try #require(try bed.services.announcer("maintenance", bed.queue))
            let id = Announcer.newID()
            #expect(await announcer.begin(id, description: "Starting") == .told)
            #expect(await announcer.update(id, description: "Removing", progress: 1) == .unreached)
            #expect(await announcer.finish(id, failed: false, description: "Done", summary: "{}") == .told)
            #expect(try await Self.row(bed)[3] == "finished")
        }
    }

    @Test func `nobody is told where nothing is configured, or it is switched off`() async throws {
        try await withTestBed { bed in
            let announcer = try bed.services.announcer("maintenance", bed.queue)
            #expect(announcer == nil)
        }
        try await withTestBed(settings: try Self.settings(channel: "x"), variables: ["EBB_AYON_ANNOUNCE": "0"]) { bed in
            let announcers = [
                try bed.services.announcer("maintenance", bed.queue), try bed.services.announcer("other", bed.queue),
            ]
            #expect(announcers.allSatisfy { $0 == nil })
        }
    }

    @Test func `values are parameters, each place with its own`() {
        let text = Announcement.BoundText(
            "SELECT {id}::uuid, {id}, '{}', '{a}', {Status}, {status} -- {summary}{progress}"
        )
        #expect(text.sql == "SELECT $1::uuid, $2, '{}', '{a}', {Status}, $3 -- $4$5")
        #expect(text.values == [.id, .id, .status, .summary, .progress])
    }

    @Test(arguments: [
        ("  m: {insert: 'SELECT {id}'}", "\"update\" is missing"),
        ("  m: {insert: 'SELECT 1', update: 'SELECT {id}'}", "does not say which row it means"),
        ("  m: {insert: 'SELECT {id}', update: 'SELECT {id}', publish: {}}", "\"channel\" is missing"),
        ("  m: {insert: 'SELECT {id}', update: 'SELECT {id}', publsh: {}}", "did you mean \"publish\"?"),
    ])
    func `an announcement that cannot be is refused`(_ yaml: String, _ says: String) throws {
        var configuration = EbbConfiguration()
        configuration.file = try ConfigurationFile(name: "ebb.yaml", yaml: "announce:\n" + yaml)
        let error = #expect(throws: ConfigurationError.self) { try Announcement.load(configuration) }
        #expect("\(try #require(error))".contains(says))
    }
}
