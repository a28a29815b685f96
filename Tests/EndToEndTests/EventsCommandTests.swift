import Foundation
import Testing

@Suite struct `Events of an installation` {
    private struct Document: Decodable {
        var id: String
        var time: String
        var topic: String
        var subject: String
        var target: String?
        var schema: String?
        var status: String
        var progress: Double
        var counts: [String: Int]
        var error: String?
    }

    @Test(.timeLimit(.minutes(5)))
    func `are shown as they were, as text and as one document`() async throws {
        try await withSandbox { sandbox in
            let none = try await sandbox.producer("events")
            #expect(none.status == .exited(0) && none.output == "nothing has happened yet\n")
            let empty = try await sandbox.producer("events", "--json")
            #expect(try empty.json([Document].self).isEmpty)
            try await sandbox.createEvents(2_000)
            let cleanup = try await sandbox.producer("cleanup", "Events")
            #expect(cleanup.status == .exited(0), "\(cleanup.errors)")
            let documents = try await sandbox.producer("events", "--json").json([Document].self)
            #expect(documents.map(\.topic) == ["run.created", "run.finished"])
            let last = try #require(documents.last)
            #expect(last.target == "Events" && last.schema == sandbox.schema && last.progress == 100)
            #expect(try await sandbox.runs() == [last.subject])
            #expect(last.counts["deleted"] ?? 0 > 0 && last.error == nil)
            let text = try await sandbox.producer("events", "--limit", "1")
            let lines = text.output.split(separator: "\n")
            #expect(lines.count == 1 && lines[0].contains("run.finished") && lines[0].contains("100%"))
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: [true, false])
    func `are followed until the command is told to stop`(json: Bool) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(500)
            let enqueue = try await sandbox.producer("enqueue", "Events")
            #expect(enqueue.status == .exited(0), "\(enqueue.errors)")
            let follow = try await sandbox.run(
                .producer,
                ["events", "--follow"] + (json ? ["--json"] : []),
                untilOutput: { $0.contains("run.finished") },
                {
                    let worker = try await sandbox.run(.worker, ["--drain"])
                    #expect(worker.status == .exited(0), "\(worker.errors)")
                }
            )
            #expect(follow.status == .exited(0) && follow.errors == "")
            let lines = follow.output.split(separator: "\n")
            #expect(lines.count == 2)
            guard json else { return }
            let documents = try lines.map { try JSONDecoder().decode(Document.self, from: Data($0.utf8)) }
            #expect(documents.map(\.topic) == ["run.created", "run.finished"])
        }
    }
}
