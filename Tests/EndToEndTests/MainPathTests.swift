import Foundation
import Testing

@Suite struct `The main path` {
    @Test(.timeLimit(.minutes(5)))
    func `plan tells everything and writes nothing, and targets lists what is on`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(2_000)
            let before = try await sandbox.rows()

            let plan = try await sandbox.producer("plan", "Events")
            #expect(plan.status == .exited(0), "\(plan.errors)")
            for word in ["cutoff", "strategy", "rows", "batches", "WAL", "EXPLAIN", "DELETE FROM"] {
                #expect(plan.output.contains(word), "no \(word) in \(plan.output)")
            }
            let json = try await sandbox.producer("plan", "Events", "--json")
            let documents = try #require(
                try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]]
            )
            #expect(documents.map { $0["target"] as? String } == ["Events"])
            #expect(documents.first?["estimated_rows"] is Int)

            let targets = try await sandbox.producer("targets")
            #expect(targets.status == .exited(0))
            #expect(targets.output.contains("METRICS_ENTRIES_MAX_AGE is not set"))
            let list = try await sandbox.producer("targets", "--json")
            let entries = try #require(
                try JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [[String: Any]]
            )
            #expect(entries.first { $0["name"] as? String == "Events" }?["on"] as? Bool == true)

            #expect(try await sandbox.leftTraces() == [])
            #expect(try await sandbox.rows() == before)
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `a run goes from setup to the last expired row`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            let before = try await sandbox.rows()
            for _ in 1...2 {
                let setup = try await sandbox.producer("setup")
                #expect(setup.status == .exited(0), "\(setup.errors)")
            }
            #expect(try await sandbox.producer("runs").output == "no run is remembered\n")

            let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "1000", "--json")
            #expect(enqueued.status == .exited(0), "\(enqueued.errors)")
            let started = try enqueued.json([StatusDocument].self)
            let run = try #require(started.first?.run)
            #expect(started.first?.state == "running")
            #expect(started.first?.started_at == nil)
            #expect(try await sandbox.producer("status").output.contains(run))

            let worker = try await sandbox.run(.worker, ["--drain"])
            #expect(worker.status == .exited(0), "\(worker.errors)")
            #expect(worker.output == "")

            let status = try await sandbox.producer("status", run, "--json")
            try Self.expectContract(status.output)
            let document = try status.json(StatusDocument.self)
            let deleted = before - (try await sandbox.rows())
            #expect(document.state == "finished")
            #expect(document.error == nil)
            #expect(document.rows.deleted == deleted)
            #expect(document.batches.total == document.batches.done)
            #expect(document.batches.total >= 10)
            #expect(try await sandbox.ledgerSum(of: run) == deleted)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
            #expect(try await sandbox.producer("runs").output.contains(run))
            #expect(try await sandbox.producer("runs", "--json").json([StatusDocument].self).map(\.run) == [run])
            #expect(try await sandbox.producer("status", "--json").json([StatusDocument].self) == [])
        }
    }

    /// Every name of the contract is there, even when it says nothing, and moments are ISO 8601.
    private static func expectContract(_ output: String) throws {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
        let names = [
            "run", "target", "schema", "state", "strategy", "cutoff", "rows", "batches", "rate", "eta_seconds",
            "created_at", "started_at", "finished_at", "error",
        ]
        #expect(Set(object.keys) == Set(names))
        #expect(
            Set((object["batches"] as? [String: Any] ?? [:]).keys) == [
                "total", "queued", "leased", "delayed", "parked", "done", "dead", "cancelled", "split", "redelivered",
            ]
        )
        #expect(Set((object["rows"] as? [String: Any] ?? [:]).keys) == ["deleted", "estimated", "cascaded"])
        #expect(Set((object["rate"] as? [String: Any] ?? [:]).keys) == ["rows_per_second"])
        for name in ["cutoff", "created_at", "started_at", "finished_at"] {
            let moment = object[name] as? String ?? "null"
            #expect(
                moment.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil,
                "\(name) is \(moment)"
            )
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `enqueue waits for the end while a worker does the work`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(10_000)
            let before = try await sandbox.rows()
            let waited = try await sandbox.withWorkers { _ in
                try await sandbox.producer("enqueue", "Events", "--batch-rows", "500", "--wait", "--json")
            }
            #expect(waited.status == .exited(0))
            #expect(waited.errors == "")
            let document = try #require(try waited.json([StatusDocument].self).first)
            #expect(document.state == "finished")
            #expect(document.rows.deleted == before - (try await sandbox.rows()))
            #expect(try await sandbox.consumers() == 0)
            try await sandbox.expectSurvivors()
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `cleanup brings its own workers and leaves none behind`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(10_000)
            let (_, cleanup) = try await sandbox.during(
                .producer,
                ["cleanup", "Events", "--workers", "2", "--batch-rows", "100"]
            ) { producer in
                try await until("two workers beside the producer") {
                    try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace).filter { $0 != producer.pid }.count
                        >= 2
                        || !producer.isAlive
                }
            }
            #expect(cleanup.status == .exited(0), "\(cleanup.errors)")
            #expect(cleanup.output.contains("Events: finished, "))
            #expect(try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace) == [])
            #expect(try await sandbox.consumers() == 0)
            try await sandbox.expectSurvivors()
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `a target that is off is refused by enqueue and passed over by cleanup`() async throws {
        try await withSandbox(Events.target(age: "${EVENTS_MAX_AGE}")) { sandbox in
            try await sandbox.createEvents(100)
            let enqueue = try await sandbox.producer("enqueue", "Events", "--json")
            #expect(enqueue.status == .exited(2))
            #expect(enqueue.output == "")
            #expect(enqueue.complaints == ["target Events is off: EVENTS_MAX_AGE is not set"])
            #expect(try await sandbox.leftTraces() == [])

            let cleanup = try await sandbox.producer("cleanup", "Events")
            #expect(cleanup.status == .exited(0))
            #expect(cleanup.output == "Events: off: EVENTS_MAX_AGE is not set\n")
            #expect(try await sandbox.rows() == 100)
            #expect(try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace) == [])
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `a target has one unfinished run, and other knobs are refused`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let first = try await sandbox.producer("enqueue", "Events", "--json").json([StatusDocument].self)
            let again = try await sandbox.producer("enqueue", "Events", "--json")
            #expect(again.status == .exited(0), "\(again.errors)")
            #expect(try again.json([StatusDocument].self).map(\.run) == first.map(\.run))
            #expect(try again.json([StatusDocument].self).map(\.batches) == first.map(\.batches))

            let other = try await sandbox.producer("enqueue", "Events", "--max-age", "60d", "--json")
            #expect(other.status == .exited(2))
            #expect(other.output == "")
            #expect(other.complaints.count == 1)
            #expect(other.errors.contains("has an unfinished run \(first.first?.run ?? "") with other knobs"))
            #expect(try await sandbox.runs() == first.map(\.run))
        }
    }
}
