import Foundation
import Testing

@Suite struct `Progress` {
    @Test(.timeLimit(.minutes(5)))
    func `is watched through a pipe in plain lines, to the end of the run`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "200", "--json")
            let run = try #require(try enqueued.json([StatusDocument].self).first?.run)
            let (_, watch) = try await sandbox.during(.producer, ["status", run, "--watch"]) { _ in
                let worker = try await sandbox.run(.worker, ["--drain"])
                #expect(worker.status == .exited(0), "\(worker.errors)")
            }
            #expect(watch.status == .exited(0), "\(watch.errors)")
            #expect(watch.errors == "")
            #expect(!watch.output.contains("\r") && !watch.output.contains("\u{1B}"))
            let lines = watch.output.split(separator: "\n")
            #expect(lines.allSatisfy { $0.hasPrefix("Events ") })
            #expect(lines.last?.hasSuffix("finished") == true, "\(watch.output)")
            #expect(lines.last?.contains("100%") == true)
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [["status", "nosuchrun"], ["status", "nosuchrun", "--json"], ["status", "nosuchrun", "--watch"]]
    )
    func `of a run that nobody knows is an error`(arguments: [String]) async throws {
        try await withSandbox { sandbox in
            let status = try await sandbox.run(.producer, arguments)
            #expect(status.status == .exited(2))
            #expect(status.output == "")
            #expect(status.complaints == ["run nosuchrun is not known in Redis; producer runs lists those that are"])
        }
    }
}

@Suite struct `A worker's memory` {
    @Test(.timeLimit(.minutes(5)))
    func `stays below 60 MB over more than 500 batches`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(100_000)
            let (peak, outcome) = try await sandbox.during(.worker) { worker in
                let enqueue = try await sandbox.producer("enqueue", "Events", "--batch-rows", "120", "--wait", "--json")
                let document = try #require(try enqueue.json([StatusDocument].self).first)
                #expect(document.state == "finished")
                #expect(document.batches.done >= 500)
                let peak = try worker.peakMemory()
                worker.send(SIGTERM)
                return peak
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            print("a worker's peak memory: \(peak) KiB")
            #if !DEBUG
            #expect(peak < 60 << 10)
            #endif
        }
    }
}
