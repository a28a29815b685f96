import PostgresClient
import Testing

@Suite struct PostgresTransactionTests {
    private struct BodyFailure: Error {}

    @Test func `a transaction commits what its body did`() async throws {
        let connection = try await self.connectionWithTable()
        let count = try await connection.transaction { connection in
            try connection.run("INSERT INTO t VALUES (1)")
            try connection.runPipeline([
                PostgresStatement("INSERT INTO t VALUES (2)"), PostgresStatement("INSERT INTO t VALUES (3)"),
            ])
            return try connection.run("SELECT count(*) FROM t").rows[0].int(0)
        }
        #expect(count == 3)
        #expect(try await self.count(connection) == 3)
    }

    @Test func `a body that throws rolls back`() async throws {
        let connection = try await self.connectionWithTable()
        await #expect(throws: BodyFailure.self) {
            try await connection.transaction { connection in
                try connection.run("INSERT INTO t VALUES (1)")
                throw BodyFailure()
            }
        }
        #expect(try await self.count(connection) == 0)
    }

    @Test func `a failed statement rolls back and its error is rethrown`() async throws {
        let connection = try await self.connectionWithTable()
        let error = try await postgresError {
            try await connection.transaction { connection in
                try connection.run("INSERT INTO t VALUES (1)")
                try connection.run("SELECT broken")
            }
        }
        #expect(error.sqlState == .undefinedColumn)
        #expect(try await self.count(connection) == 0)
    }

    @Test func `a body that hides an error cannot commit`() async throws {
        let connection = try await self.connectionWithTable()
        let error = try await postgresError {
            try await connection.transaction { connection in
                try connection.run("INSERT INTO t VALUES (1)")
                #expect(throws: PostgresError.self) { try connection.run("SELECT broken") }
            }
        }
        #expect(error.sqlState == .failedTransaction)
        #expect(try await self.count(connection) == 0)
    }

    @Test func `isolation and access mode reach the server`() async throws {
        let connection = try await self.connectionWithTable()
        let isolation = try await connection.transaction(isolation: "SERIALIZABLE", readOnly: true) { connection in
            try connection.run("SHOW transaction_isolation").rows[0][0]
        }
        #expect(isolation == "serializable")
        let error = try await postgresError {
            try await connection.transaction(readOnly: true) { _ = try $0.run("CREATE TABLE ebb_never (id int)") }
        }
        #expect(error.sqlState == .readOnlyTransaction)
    }

    private func connectionWithTable() async throws -> PostgresConnection {
        let connection = try await TestServer.connect()
        _ = try await connection.query("CREATE TEMP TABLE t (id int)")
        return connection
    }

    private func count(_ connection: PostgresConnection) async throws -> Int? {
        try await connection.query("SELECT count(*) FROM t").rows[0].int(0)
    }
}
