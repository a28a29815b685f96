import PostgresClient
import Testing

/// Runs a test on a database of its own, for products whose tables are in the schema `public`.
///
/// - `targets`: the configuration file.
/// - `product`: the end of the database's name.
/// - `timeZone`: the database's default.
/// - `environment`: of the programs, besides what every sandbox has.
func withOwnDatabase(
    _ targets: String,
    product: String,
    timeZone: String? = nil,
    environment: (Sandbox) -> [String: String],
    _ body: (Sandbox) async throws -> Void
) async throws {
    try await withSandbox(targets) { shared in
        let database = "\(shared.namespace)_\(product)"
        try await shared.administer("CREATE DATABASE \(database)")
        let result: Result<Void, any Error>
        do {
            if let timeZone { try await shared.execute("ALTER DATABASE \(database) SET TimeZone = '\(timeZone)'") }
            let url = try Servers.databaseURL(adding: "dbname=\(database)")
            let own = Sandbox(
                namespace: shared.namespace,
                directory: shared.directory,
                postgres: try await Servers.connect(to: url),
                redis: shared.redis,
                environment: shared.environment.merging(environment(shared).merging(["DATABASE_URL": url]) { $1 }) {
                    $1
                }
            )
            result = .success(try await body(own))
            await own.postgres.close()
        } catch {
            result = .failure(error)
        }
        // A task of its own, so that a test that ran out of time, and is cancelled, cleans up too.
        try await Task { try await shared.administer("DROP DATABASE \(database) WITH (FORCE)") }.value
        try result.get()
    }
}

extension Sandbox {
    /// Runs a statement that concerns a database, and again as long as that is in use: an autovacuum worker may be in any.
    fileprivate func administer(_ statement: String) async throws {
        try await until("\(statement)") {
            do {
                try await self.execute(statement)
                return true
            } catch let error as PostgresError where error.sqlState == SQLState(rawValue: "55006") {
                return false
            }
        }
    }

    /// Runs a file whose statements end at the end of a line.
    func execute(file: [UInt8]) async throws {
        for statement in String(decoding: file, as: UTF8.self).split(separator: ";\n") {
            _ = try await self.postgres.query(String(statement))
        }
    }

    /// The tables of a schema, with how many rows each has.
    func tables(of schema: String) async throws -> [String: Int] {
        let names = try await self.postgres.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = '\(schema)' ORDER BY tablename"
        ).rows.compactMap { $0[0] }
        var tables: [String: Int] = [:]
        for name in names { tables[name] = try await self.number("SELECT count(*) FROM \(schema).\(name)") }
        return tables
    }

    /// Expects that every table of a schema has exactly the rows that were predicted in another, each of them as it was
    /// predicted.
    func expect(_ schema: String, toBeAs predicted: String, sourceLocation: SourceLocation) async throws {
        for table in try await self.tables(of: schema).keys.sorted() {
            func difference(_ one: String, _ other: String) async throws -> Int {
                try await self.number(
                    "SELECT count(*) FROM (TABLE \(one).\(table) EXCEPT ALL TABLE \(other).\(table)) AS difference"
                )
            }
            let lost = try await difference(predicted, schema)
            let left = try await difference(schema, predicted)
            #expect(
                lost == 0,
                "\(schema).\(table): rows died or changed that should live",
                sourceLocation: sourceLocation
            )
            #expect(left == 0, "\(schema).\(table): rows survived that should die", sourceLocation: sourceLocation)
        }
    }

    /// Enqueues a target beside one worker, waits for its end, and returns the status of each run.
    func cleanEach(
        _ target: String,
        environment: [String: String?] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> [StatusDocument] {
        let outcome = try await self.withWorkers(1, ["--concurrency", "2"], environment: environment) { _ in
            try await self.run(.producer, ["enqueue", target, "--wait", "--json"], environment: environment)
        }
        #expect(outcome.status == .exited(0), "\(outcome.errors)", sourceLocation: sourceLocation)
        return try outcome.json([StatusDocument].self)
    }

    /// The same of a target that is in one schema.
    func clean(
        _ target: String,
        environment: [String: String?] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> StatusDocument {
        let runs = try await self.cleanEach(target, environment: environment, sourceLocation: sourceLocation)
        return try #require(runs.first, sourceLocation: sourceLocation)
    }
}
