import Foundation
import PostgresClient
import Testing

/// The real server that these tests need.
enum TestServer {
    /// Fails the test, rather than skipping it, when no server has been named.
    static func url() throws -> String {
        try #require(
            ProcessInfo.processInfo.environment["EBB_TEST_DATABASE_URL"],
            "set EBB_TEST_DATABASE_URL to the URL of a PostgreSQL database for tests"
        )
    }

    /// The same server with one more URI parameter, which overrides what the URI says elsewhere.
    static func url(adding parameter: String) throws -> String {
        let url = try self.url()
        return url + (url.contains("?") ? "&" : "?") + parameter
    }

    /// Waits on a busy machine.
    static func configuration(_ url: String) throws -> PostgresConfiguration {
        try PostgresConfiguration(url: url, applicationName: "ebb-test", connectTimeout: .seconds(120))
    }

    static func connect() async throws -> PostgresConnection {
        try await .connect(self.configuration(self.url()))
    }

    /// Returns once the session `pid` is inside `pg_sleep`, as another session sees it.
    static func untilSleeping(_ pid: Int, seenBy observer: PostgresConnection) async throws {
        let giveUp = ContinuousClock.now + .seconds(120)
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int AND wait_event = 'PgSleep'"
        while try await observer.query(sql, ["\(pid)"]).rows[0].int(0) != 1 {
            try #require(ContinuousClock.now < giveUp, "the session never reached pg_sleep")
        }
    }
}

/// The error that `body` throws, which must be a ``PostgresError``.
func postgresError(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async throws -> PostgresError {
    let error = await #expect(throws: PostgresError.self, sourceLocation: sourceLocation) { try await body() }
    return try #require(error, sourceLocation: sourceLocation)
}
