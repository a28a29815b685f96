import Foundation
import PostgresClient
import RedisClient
package import Shared

/// Lends a test bed, and removes its schemas and keys afterwards, also when `body` throws.
///
/// - `targets`: YAML, the entries of `targets`, indented by two.
/// - `settings`: YAML, further keys of the configuration file.
/// - `variables`: environment variables that the configuration may read.
/// - `session`: settings that each session starts with, such as a time zone.
/// - `ownClock`: whether the database's clock is the test's to set; see `TestBed.setClock`.
/// - `ownDatabase`: whether no other test has a transaction in its database.
package func withTestBed<Result>(
    targets: String = "",
    settings: String = "",
    variables: [String: String] = [:],
    session: [(name: String, value: String)] = [],
    ownClock: Bool = false,
    ownDatabase: Bool = false,
    _ body: (TestBed) async throws -> Result
) async throws -> Result {
    await Gate.beds.enter()
    let result: Swift.Result<Result, any Error>
    do {
        result = .success(
            try await withUngatedTestBed(
                targets: targets,
                settings: settings,
                variables: variables,
                session: session,
                ownClock: ownClock,
                ownDatabase: ownDatabase,
                body
            )
        )
    } catch {
        result = .failure(error)
    }
    await Gate.beds.leave()
    return try result.get()
}

private func withUngatedTestBed<Result>(
    targets: String,
    settings: String,
    variables: [String: String],
    session: [(name: String, value: String)],
    ownClock: Bool,
    ownDatabase: Bool,
    _ body: (TestBed) async throws -> Result
) async throws -> Result {
    let namespace = "t" + String(UInt64.random(in: .min ... .max), radix: 36)
    let schema = "tables_" + namespace
    // What PostgreSQL has itself comes first unless it is named later.
    let path = ownClock ? "\(schema),pg_catalog" : schema
    var url = try TestServers.databaseURL(settings: [(name: "search_path", value: path)] + session)
    if ownDatabase {
        try await administer("CREATE DATABASE \(SQLText.quoted(namespace))")
        url = TestServers.url(url, database: namespace)
    }
    let file = FileManager.default.temporaryDirectory.appending(path: "ebb-\(namespace).yaml")
    let yaml = settings + "\n" + (targets.isEmpty ? "" : "targets:\n" + targets + "\n")
    try Data(yaml.utf8).write(to: file)
    defer {
        do { try FileManager.default.removeItem(at: file) } catch { print("\(file.path()) is left behind: \(error)") }
    }
    let all = [
        "DATABASE_URL": url, "REDIS_URL": try TestServers.redisURL(), "EBB_NAMESPACE": namespace,
        "EBB_CONFIG": file.path(), "EBB_LOG_LEVEL": "error",
    ].merging(variables) { $1 }
    var services = try Services(environment: Environment(all), label: "ebb.test")
    services.patience = .ofTests
    let connection = try await services.connectPostgres(as: "ebb test")
    let queue = try services.queue()
    let bed = TestBed(
        namespace: namespace,
        schema: schema,
        variables: all,
        services: services,
        connection: connection,
        queue: queue
    )
    let result: Swift.Result<Result, any Error>
    do {
        try await bed.run("CREATE SCHEMA \(SQLText.quoted(schema))")
        if ownClock { try await bed.createClock() }
        result = .success(try await body(bed))
    } catch {
        result = .failure(error)
    }
    await connection.close()
    do {
        // Also when the test was cancelled, and whatever it did to its connections.
        try await Task {
            try await removeTraces(of: bed, url: url)
            if ownDatabase { try await administer("DROP DATABASE \(SQLText.quoted(namespace)) WITH (FORCE)") }
        }.value
    } catch {
        if case .success = result { throw error }
    }
    await queue.close()
    return try result.get()
}

private func removeTraces(of bed: TestBed, url: String) async throws {
    let cleaner = try await PostgresConnection.connect(
        PostgresConfiguration(
            url: url,
            applicationName: "ebb test clean-up",
            connectTimeout: Patience.ofTests.connecting
        )
    )
    for schema in [bed.schema, bed.namespace] {
        _ = try await cleaner.query("DROP SCHEMA IF EXISTS \(SQLText.quoted(schema)) CASCADE")
    }
    await cleaner.close()
    for key in try await bed.queue.redis.send("KEYS", "{\(bed.namespace)}:*").array ?? [] {
        if let key = key.string { _ = try await bed.queue.redis.send("UNLINK", key) }
    }
}

/// Runs a statement that concerns a database, and again as long as that is in use: an autovacuum worker may be in any.
private func administer(_ statement: String) async throws {
    let connection = try await PostgresConnection.connect(
        PostgresConfiguration(
            url: try TestServers.databaseURL(),
            applicationName: "ebb test databases",
            connectTimeout: Patience.ofTests.connecting
        )
    )
    try await eventually(statement) {
        do {
            _ = try await connection.query(statement)
            return true
        } catch let error as PostgresError where error.sqlState == SQLState(rawValue: "55006") {
            return false
        }
    }
    await connection.close()
}

extension Patience {
    /// For tests that are not about servers that fall silent.
    package static var ofTests: Patience {
        var patience = Patience()
        patience.redis = .seconds(180)
        patience.connecting = .seconds(120)
        patience.telling = .seconds(120)
        return patience
    }
}
