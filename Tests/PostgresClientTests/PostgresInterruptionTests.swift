import PostgresClient
import Testing

@Suite struct PostgresInterruptionTests {
    /// A session that cancellations have to spare, unless the server is too busy to answer them within seconds.
    private struct Session {
        private(set) var connection: PostgresConnection
        private var losses = 0

        init() async throws { self.connection = try await TestServer.connect() }

        /// Whether the session is still there after a cancellation; else there is a new one, five times at most.
        mutating func isSpared() async throws -> Bool {
            if await self.connection.isUsable { return true }
            self.losses += 1
            try #require(self.losses <= 5, "cancelling a statement ends its session")
            self.connection = try await TestServer.connect()
            return false
        }
    }

    @Test func `cancelling the task cancels the statement and spares the session`() async throws {
        var session = try await Session()
        let observer = try await TestServer.connect()
        repeat {
            let connection = session.connection
            let pid = await connection.backendPID
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await connection.query("SELECT pg_sleep(60)") }
                try await TestServer.untilSleeping(pid, seenBy: observer)
                group.cancelAll()
                await #expect(throws: CancellationError.self) { try await group.next() }
            }
        } while try await !session.isSpared()
        #expect(try await session.connection.query("SELECT 1").rows[0].int(0) == 1)
    }

    @Test func `cancelling at any moment never hits a later statement`() async throws {
        var session = try await Session()
        for round in 0..<40 {
            repeat {
                let connection = session.connection
                await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = try await connection.query("SELECT pg_sleep(60)") }
                    for _ in 0..<round * 5 { await Task.yield() }
                    group.cancelAll()
                    await #expect(throws: CancellationError.self) { try await group.next() }
                }
            } while try await !session.isSpared()
            let later = try await session.connection.query("SELECT pg_sleep(0.001), $1::int", ["\(round)"])
            #expect(later.rows[0].int(1) == round)
        }
    }

    @Test func `a cancelled task sends nothing`() async throws {
        let connection = try await TestServer.connect()
        _ = try await connection.query("CREATE TEMP TABLE t (id int)")
        await withThrowingTaskGroup(of: Void.self) { group in
            group.cancelAll()
            group.addTask { _ = try await connection.query("INSERT INTO t VALUES (1)") }
            await #expect(throws: CancellationError.self) { try await group.next() }
        }
        #expect(try await connection.query("SELECT count(*) FROM t").rows[0].int(0) == 0)
    }

    @Test func `cancelling a transaction rolls it back`() async throws {
        var session = try await Session()
        let observer = try await TestServer.connect()
        repeat {
            let connection = session.connection
            _ = try await connection.query("CREATE TEMP TABLE t (id int)")
            let pid = await connection.backendPID
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await connection.transaction { connection in
                        try connection.run("INSERT INTO t VALUES (1)")
                        try connection.runPipeline([
                            PostgresStatement("SELECT 1"), PostgresStatement("SELECT pg_sleep(60)"),
                            PostgresStatement("SELECT 2"),
                        ])
                    }
                }
                try await TestServer.untilSleeping(pid, seenBy: observer)
                group.cancelAll()
                await #expect(throws: CancellationError.self) { try await group.next() }
            }
        } while try await !session.isSpared()
        #expect(try await session.connection.query("SELECT count(*) FROM t").rows[0].int(0) == 0)
    }

    @Test func `a statement timeout of the server is not a cancellation`() async throws {
        let connection = try await TestServer.connect()
        _ = try await connection.query("SET statement_timeout = 1")
        let error = try await postgresError { _ = try await connection.query("SELECT pg_sleep(60)") }
        #expect(error.sqlState == .queryCanceled)
        #expect(error.code == .server)
        #expect(await connection.isUsable)
    }

    @Test func `a passed deadline ends the statement and the session`() async throws {
        let connection = try await TestServer.connect()
        let observer = try await TestServer.connect()
        let pid = await connection.backendPID
        let error = try await postgresError {
            _ = try await connection.query("SELECT pg_sleep(60)", deadline: .milliseconds(20))
        }
        #expect(error.code == .timedOut)
        #expect(await !connection.isUsable)
        let giveUp = ContinuousClock.now + .seconds(120)
        while try await observer.query("SELECT FROM pg_stat_activity WHERE pid = $1::int", ["\(pid)"]).rows.count > 0 {
            try #require(ContinuousClock.now < giveUp, "the server still runs the statement")
        }
    }

    @Test(arguments: [true, false])
    func `a terminated session is a connection problem`(running: Bool) async throws {
        let connection = try await TestServer.connect()
        let observer = try await TestServer.connect()
        let pid = await connection.backendPID
        if !running { try await self.terminate(pid, through: observer) }
        let error = try await withThrowingTaskGroup(of: PostgresError.self) { group in
            group.addTask {
                try await postgresError { _ = try await connection.query("SELECT pg_sleep(60)") }
            }
            if running {
                try await TestServer.untilSleeping(pid, seenBy: observer)
                try await self.terminate(pid, through: observer)
            }
            return try #require(try await group.next())
        }
        #expect(error.code == .connectionLost)
        #expect(error.sqlState == .adminShutdown)
        #expect(error.isConnectionProblem)
        #expect(error.isRetryable)
        #expect(await !connection.isUsable)
    }

    /// Returns once the server process has gone.
    private func terminate(_ pid: Int, through observer: PostgresConnection) async throws {
        let result = try await observer.query("SELECT pg_terminate_backend($1::int, 30000)", ["\(pid)"])
        #expect(result.rows[0].bool(0) == true)
    }
}
