package import PostgresClient
import RedisClient
package import Shared

/// What one test has to itself: a schema for its tables, a ledger, a queue, and services that know all three.
///
/// Every session of it, those of a worker included, finds the test's tables through its search path.
package struct TestBed: Sendable {
    /// Names the ledger's schema and the Redis hash tag.
    package let namespace: String
    /// Holds the test's tables.
    package let schema: String
    /// The environment of its programs.
    let variables: [String: String]
    package let services: Services
    package let connection: PostgresConnection
    package let queue: Queue

    package var ledger: Ledger { self.services.ledger }

    /// The same bed as programs with other variables see it.
    package func with(_ variables: [String: String]) throws -> TestBed {
        let all = self.variables.merging(variables) { $1 }
        var services = try Services(environment: Environment(all), label: "ebb.test")
        services.patience = self.services.patience
        return TestBed(
            namespace: self.namespace,
            schema: self.schema,
            variables: all,
            services: services,
            connection: self.connection,
            queue: self.queue
        )
    }

    /// A table of the test, schema-qualified and quoted.
    package func table(_ name: String) -> String { SQLText.quoted(self.schema, name) }

    /// Runs statements one after the other.
    package func run(_ statements: String...) async throws {
        for statement in statements { _ = try await self.connection.query(statement) }
    }

    /// The only column of the only row, as an integer.
    package func int(_ sql: String, _ parameters: [String?] = []) async throws -> Int {
        let row = try await self.connection.query(sql, parameters).rows.first
        guard let value = row?.int(0) else { throw UnexpectedState("\(sql) returned no integer") }
        return value
    }

    /// The first column of all rows.
    package func strings(_ sql: String, _ parameters: [String?] = []) async throws -> [String] {
        try await self.connection.query(sql, parameters).rows.map { try $0.text(0) }
    }

    /// Lets Redis forget everything.
    package func loseRedis() async throws {
        for key in try await self.queue.redis.send("KEYS", "{\(self.namespace)}:*").array ?? [] {
            _ = try await self.queue.redis.send("DEL", key.string ?? "")
        }
    }

    /// One more session like those of a worker.
    package func connect() async throws -> PostgresConnection {
        try await self.services.connectPostgres(as: "ebb test")
    }

    /// A target of the test's configuration.
    package func target(_ name: String = "Target") throws -> Target { try self.services.catalog.target(named: name) }

    /// Creates a run of a target with the knobs it is configured with.
    package func start(_ name: String = "Target", batchRows: Int? = nil) async throws -> RunRecord {
        let entry = try self.services.catalog.entry(named: name)
        guard case .on(let knobs) = try self.services.resolve(entry) else {
            throw UnexpectedState("target \(name) is off")
        }
        let starter = RunStarter(
            ledger: self.ledger,
            queue: self.queue,
            configuration: self.services.configuration
        )
        switch entry {
        case .table(let target):
            return try await starter.start(target, knobs: knobs, batchRows: batchRows, self.connection).run
        case .objects(let target):
            guard case .on(let store) = try self.services.stores.store(named: target.store) else {
                throw UnexpectedState("store \(target.store) is off")
            }
            return try await starter.start(target, store: store, knobs: knobs, self.connection).run
        }
    }

    /// Runs the step that the run is at, if it can be run now, and returns it.
    @discardableResult
    package func step(_ run: String) async throws -> StepLease.Step? {
        let lease = try await self.queue.takeStep(
            owner: "test",
            lease: self.services.configuration.leases.duration,
            run: run
        )
        guard let lease else { return nil }
        try await self.services.stepRunner(self.queue).run(lease, owner: "test", self.connection)
        return lease.step
    }
}

/// Something is not as a test needs it to go on.
package struct UnexpectedState: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// Polls until `condition` holds.
///
/// Throws `UnexpectedState` when it does not within the time, or what `condition` throws.
package func eventually(
    _ what: String,
    within limit: Duration = .seconds(120),
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw UnexpectedState("never happened: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
