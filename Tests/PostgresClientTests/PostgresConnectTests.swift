import Testing

@testable import PostgresClient

@Suite struct PostgresConnectTests {
    @Test func `a new session knows its server and can be closed twice`() async throws {
        let connection = try await TestServer.connect()
        let row = try await connection.query(
            "SELECT current_setting('server_version_num'), pg_backend_pid(), current_setting('application_name')"
        ).rows[0]
        #expect(await connection.serverVersion == row.int(0))
        #expect(await connection.backendPID == row.int(1))
        #expect(row[2] == "ebb-test")
        #expect(await connection.isUsable)
        await connection.close()
        await connection.close()
        #expect(await !connection.isUsable)
        let error = try await postgresError { _ = try await connection.query("SELECT 1") }
        #expect(error.code == .connectionLost)
    }

    @Test func `a URL that pgx takes connects, and what libpq does not know are the session's settings`() async throws {
        let query = "pool_max_conns=4&timezone=Europe/Berlin&search_path=a,b&statement_timeout=7s"
        let configuration = try TestServer.configuration(TestServer.url(adding: query + "&ebb.text=%20a%5C%20%09b"))
        let connection = try await PostgresConnection.connect(configuration)
        let settings = [
            "timezone": "Europe/Berlin", "search_path": "a,b", "statement_timeout": "7s", "ebb.text": " a\\ \tb",
        ]
        for (name, value) in settings {
            #expect(try await connection.query("SHOW \(name)").rows[0][0] == value, "\(name)")
        }
        await connection.close()
    }

    @Test func `an unknown database is named with its code and is not retryable`() async throws {
        let url = try TestServer.url(adding: "dbname=ebb_no_such_database")
        let error = try await self.failure(url)
        #expect(error.sqlState == .unknownDatabase)
        #expect(error.message.contains("database \"ebb_no_such_database\" does not exist"))
        #expect(!error.isRetryable)
        #expect(error.isConnectionProblem)
    }

    @Test func `an unknown host is reported by name`() async throws {
        let error = try await self.failure("postgresql://u:hunter2@ebb-no-such-host.invalid/d")
        #expect(error.message.contains("ebb-no-such-host.invalid"))
        #expect(error.isRetryable)
    }

    @Test func `a port where nobody listens is reported`() async throws {
        let error = try await self.failure("postgresql://u:hunter2@127.0.0.1:1/d")
        #expect(error.message.contains("Connection refused"))
        #expect(error.isRetryable)
    }

    @Test func `a server that never answers is given up on`() async throws {
        let server = try SilentServer()
        let configuration = try PostgresConfiguration(
            url: "postgresql://u@127.0.0.1:\(server.port)/d",
            applicationName: "ebb-test",
            connectTimeout: .milliseconds(50)
        )
        let error = try await postgresError { _ = try await PostgresConnection.connect(configuration) }
        #expect(error.code == .connectionFailed)
        #expect(error.isRetryable)
    }

    @Test func `cancelling the task ends an attempt to connect`() async throws {
        let server = try SilentServer()
        let configuration = try PostgresConfiguration(
            url: "postgresql://u@127.0.0.1:\(server.port)/d",
            applicationName: "ebb-test",
            connectTimeout: .seconds(60)
        )
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await PostgresConnection.connect(configuration) }
            for _ in 0..<200 { await Task.yield() }
            group.cancelAll()
            await #expect(throws: CancellationError.self) { try await group.next() }
        }
    }

    @Test func `a cancelled task does not connect`() async throws {
        let configuration = try PostgresConfiguration(url: TestServer.url(), applicationName: "ebb-test")
        await withThrowingTaskGroup(of: Void.self) { group in
            group.cancelAll()
            group.addTask { _ = try await PostgresConnection.connect(configuration) }
            await #expect(throws: CancellationError.self) { try await group.next() }
        }
    }

    @Test func `the code is taken out of the verbose message`() {
        let (state, message) = ConnectFailure.separateState(
            "connection to server at \"h\" (::1), port 5432 failed: FATAL:  28P01: password authentication failed"
        )
        #expect(state == .invalidPassword)
        #expect(
            message == "connection to server at \"h\" (::1), port 5432 failed: FATAL: password authentication failed"
        )
    }

    private func failure(_ url: String) async throws -> PostgresError {
        let configuration = try TestServer.configuration(url)
        let error = try await postgresError { _ = try await PostgresConnection.connect(configuration) }
        #expect(error.code == .connectionFailed)
        #expect(!error.description.contains("hunter2"))
        #expect(!error.description.contains { $0.isNewline })
        return error
    }
}
