import PostgresClient
import Testing

@Suite struct PostgresQueryTests {
    @Test func `values survive the round trip, NULL and Unicode included`() async throws {
        let connection = try await TestServer.connect()
        let result = try await connection.query(
            "SELECT $1::text AS word, $2::text AS nothing, $3::bigint AS number, $4::boolean AS yes, '' AS empty",
            ["жаба 🐸 'quoted' \\ \n", nil, "-9007199254740993", "true"]
        )
        #expect(result.columns == ["word", "nothing", "number", "yes", "empty"])
        let row = try #require(result.rows.first)
        #expect(try row.text(0) == "жаба 🐸 'quoted' \\ \n")
        #expect(row[1] == nil)
        #expect(row.int(1) == nil)
        #expect(row.bool(1) == nil)
        #expect(row.int(2) == -9_007_199_254_740_993)
        #expect(row.bool(3) == true)
        #expect(row[4] == "")
        let error = #expect(throws: PostgresError.self) { try row.text(1) }
        #expect(error?.code == .unexpectedResult)
        #expect(error?.message.contains("\"nothing\"") == true)
    }

    @Test func `affected rows come from the command tag`() async throws {
        let connection = try await TestServer.connect()
        #expect(try await connection.query("CREATE TEMP TABLE t (id int)").affectedRows == 0)
        #expect(try await connection.query("INSERT INTO t SELECT generate_series(1, 5)").affectedRows == 5)
        #expect(try await connection.query("UPDATE t SET id = id WHERE id > 3").affectedRows == 2)
        #expect(try await connection.query("SELECT FROM t WHERE id < 4").affectedRows == 3)
        #expect(try await connection.query("").affectedRows == 0)
    }

    @Test func `an error carries the server's fields and the session stays usable`() async throws {
        let connection = try await TestServer.connect()
        _ = try await connection.query("CREATE TEMP TABLE t (id int CONSTRAINT t_is_unique UNIQUE)")
        _ = try await connection.query("INSERT INTO t VALUES (4711)")
        let error = try await postgresError {
            _ = try await connection.query("INSERT INTO t VALUES ($1::int)", ["4711"])
        }
        #expect(error.code == .server)
        #expect(error.sqlState == .uniqueViolation)
        #expect(error.constraint == "t_is_unique")
        #expect(error.detail?.contains("4711") == true)
        #expect(error.statementIndex == 0)
        #expect(!error.isRetryable)
        #expect(!error.isConnectionProblem)
        #expect(error.description.contains("23505"))
        #expect(!error.description.contains("4711"))
        #expect(!error.description.contains("INSERT"))
        #expect(try await connection.query("SELECT count(*) FROM t").rows[0].int(0) == 1)
    }

    @Test func `a code can be caught by name`() async throws {
        let connection = try await TestServer.connect()
        do {
            _ = try await connection.query("SELECT * FROM ebb_no_such_table")
            Issue.record("the table cannot exist")
        } catch SQLState.uniqueViolation {
            Issue.record("matched the wrong code")
        } catch SQLState.undefinedTable {
            #expect(await connection.isUsable)
        }
    }

    @Test func `a NUL byte is refused instead of cutting the text short`() async throws {
        let connection = try await TestServer.connect()
        for (sql, parameter) in [("SELECT $1::text", "a\0b"), ("SELECT '\0', $1::text", "a")] {
            let error = try await postgresError { _ = try await connection.query(sql, [parameter]) }
            #expect(error.code == .invalidStatement)
        }
        let tooMany = [String?](repeating: nil, count: 65_536)
        let error = try await postgresError { _ = try await connection.query("SELECT 1", tooMany) }
        #expect(error.code == .invalidStatement)
        #expect(await connection.isUsable)
    }

    @Test func `notices belong to the statement that caused them`() async throws {
        let connection = try await TestServer.connect()
        let quiet = try await connection.query("SELECT 1")
        let loud = try await connection.query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
        #expect(quiet.notices == [])
        #expect(loud.notices == ["one", "two"])
        let pipeline = try await connection.pipeline([
            PostgresStatement("SELECT 1"), PostgresStatement("DO $$ BEGIN RAISE NOTICE 'three'; END $$"),
        ])
        #expect(pipeline.map(\.notices) == [[], ["three"]])
    }

    @Test func `COPY is refused and ends the session`() async throws {
        let connection = try await TestServer.connect()
        let error = try await postgresError { _ = try await connection.query("COPY (SELECT 1) TO STDOUT") }
        #expect(error.code == .unexpectedResult)
        #expect(await !connection.isUsable)
    }
}
