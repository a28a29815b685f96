import Testing

@Suite struct `What cannot work is refused in one sentence, with nothing half done:` {
    @Test(.timeLimit(.minutes(5)), arguments: Refusal.servers)
    func server(refusal: Refusal) async throws { try await Self.expect(refusal) }

    @Test(.timeLimit(.minutes(5)), arguments: Refusal.configuration)
    func configuration(refusal: Refusal) async throws { try await Self.expect(refusal) }

    @Test(.timeLimit(.minutes(5)), arguments: Refusal.targets)
    func target(refusal: Refusal) async throws { try await Self.expect(refusal) }

    @Test(.timeLimit(.minutes(5)), arguments: Refusal.servers)
    func `server, by a worker`(refusal: Refusal) async throws {
        try await Self.expect(refusal, of: .worker, arguments: ["--drain"])
    }

    @Test(.timeLimit(.minutes(5)))
    func `a database that is not there`() async throws {
        let url = try Servers.databaseURL(adding: "dbname=e2e_no_such_database")
        let refusal = Refusal("", environment: ["DATABASE_URL": url], says: "\"e2e_no_such_database\" does not exist")
        try await Self.expect(refusal)
        try await Self.expect(refusal, of: .worker, arguments: ["--drain"])
    }

    static func expect(_ refusal: Refusal, of program: Program = .producer, arguments: [String]? = nil) async throws {
        try await withSandbox(refusal.targets) { sandbox in
            try await sandbox.createEvents(10)
            let outcome = try await sandbox.run(
                program,
                arguments ?? refusal.arguments,
                environment: refusal.environment
            )
            #expect(outcome.status == .exited(2))
            #expect(outcome.output == "")
            #expect(outcome.complaints.count == 1, "\(outcome.errors)")
            for fragment in refusal.sentence { #expect(outcome.errors.contains(fragment), "\(outcome.errors)") }
            #expect(try await sandbox.leftTraces() == [])
            #expect(try await sandbox.rows() == 10)
        }
    }
}

@Suite struct `The command line` {
    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            ["enqueue"], ["enqueue", "Events", "--max-age=-5h"], ["enqueue", "Events", "--max-age", "soon"],
            ["enqueue", "Events", "--keep=-1"], ["enqueue", "Events", "--batch-rows", "0"],
            ["enqueue", "Events", "--priority", "urgent"], ["enqueue", "Events", "--no-such-flag"], ["no-such-command"],
            ["status", "--watch"], ["status", "run", "--watch", "--json"], ["cleanup", "Events", "--workers", "-1"],
            ["runs", "--limit", "0"], ["events", "--limit", "0"],
        ]
    )
    func `is refused with exit code 64 when it makes no sense`(arguments: [String]) async throws {
        try await withSandbox { sandbox in
            let outcome = try await sandbox.run(.producer, arguments)
            #expect(outcome.status == .exited(64))
            #expect(outcome.output == "")
            #expect(outcome.errors.contains("Error: "), "\(outcome.errors)")
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [["--concurrency", "0"], ["--no-such-flag"], ["run", "--concurrency", "many"]]
    )
    func `of a worker is refused with exit code 64, too`(arguments: [String]) async throws {
        try await withSandbox { sandbox in
            let outcome = try await sandbox.run(.worker, arguments)
            #expect(outcome.status == .exited(64))
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            [], ["setup"], ["targets"], ["plan"], ["enqueue"], ["cleanup"], ["status"], ["runs"], ["schedules"],
            ["serve"],
        ]
    )
    func `explains itself`(command: [String]) async throws {
        try await withSandbox { sandbox in
            for program in command.isEmpty ? [Program.producer, .worker] : [.producer] {
                let outcome = try await sandbox.run(program, command + ["--help"], environment: ["EBB_CONFIG": nil])
                #expect(outcome.status == .exited(0))
                #expect(outcome.output.contains("USAGE: \(program.rawValue)"))
                #expect(outcome.errors == "")
            }
        }
    }
}
