import PostgresClient
import Testing

@Suite struct PostgresPipelineTests {
    @Test func `a pipeline returns one result per statement`() async throws {
        let connection = try await TestServer.connect()
        let results = try await connection.pipeline([
            PostgresStatement("CREATE TEMP TABLE t (id int)"),
            PostgresStatement("INSERT INTO t SELECT generate_series(1, $1::int)", ["3"]),
            PostgresStatement("SELECT sum(id) FROM t"),
        ])
        #expect(results.map(\.affectedRows) == [0, 3, 1])
        #expect(results[2].rows[0].int(0) == 6)
        #expect(try await connection.pipeline([]).isEmpty)
        #expect(try await connection.query("SELECT count(*) FROM t").rows[0].int(0) == 3)
    }

    @Test func `a pipeline reports the statement that failed and undoes the others`() async throws {
        let connection = try await TestServer.connect()
        _ = try await connection.query("CREATE TEMP TABLE t (id int PRIMARY KEY)")
        let error = try await postgresError {
            _ = try await connection.pipeline([
                PostgresStatement("INSERT INTO t VALUES (1)"),
                PostgresStatement("INSERT INTO t VALUES (2)"),
                PostgresStatement("INSERT INTO t VALUES (1)"),
                PostgresStatement("INSERT INTO t VALUES (3)"),
                PostgresStatement("SELECT broken"),
            ])
        }
        #expect(error.sqlState == .uniqueViolation)
        #expect(error.statementIndex == 2)
        #expect(try await connection.query("SELECT count(*) FROM t").rows[0].int(0) == 0)
    }

    @Test func `rollback leaves the transaction of a failed pipeline`() async throws {
        let connection = try await TestServer.connect()
        let error = try await postgresError {
            _ = try await connection.pipeline([
                PostgresStatement("BEGIN"), PostgresStatement("SELECT broken"), PostgresStatement("COMMIT"),
            ])
        }
        #expect(error.statementIndex == 1)
        let blocked = try await postgresError { _ = try await connection.query("SELECT 1") }
        #expect(blocked.sqlState == .failedTransaction)
        await connection.rollback()
        #expect(try await connection.query("SELECT 1").rows[0].int(0) == 1)
        await connection.rollback()
        #expect(await connection.isUsable)
    }

    @Test func `twenty megabytes each way do not deadlock`() async throws {
        let connection = try await TestServer.connect()
        let megabyte = String(repeating: "x", count: 1_000_000)
        let statements = (0..<20).map { _ in PostgresStatement("SELECT $1::text", [megabyte]) }
        let results = try await connection.pipeline(statements, deadline: .seconds(60))
        #expect(results.count == 20)
        #expect(results.allSatisfy { $0.rows[0][0]?.utf8.count == 1_000_000 })
    }

    @Test func `a value of twenty megabytes goes there and back`() async throws {
        let connection = try await TestServer.connect()
        let text = String(repeating: "x", count: 20_000_000)
        let result = try await connection.query("SELECT $1::text", [text], deadline: .seconds(60))
        #expect(result.rows[0][0] == text)
    }
}
