package import PostgresClient

/// Connections to the cleaned database that outlive an outage: a broken one is replaced when the next is asked for.
///
/// There are never more than borrowers at the same time.
package actor ConnectionPool {
    private let configuration: PostgresConfiguration
    private var idle: [PostgresConnection] = []

    package init(_ configuration: PostgresConfiguration) { self.configuration = configuration }

    /// How long an idle connection may take to answer.
    private static let patience = Duration.seconds(5)

    /// Lends a connection for as long as `body` runs; opens one when none is idle.
    ///
    /// One that broke meanwhile is dropped.
    ///
    /// - `checked`: whether an idle one has to answer first, for work that sets itself no deadline.
    /// - Throws: `PostgresError` when none can be opened, or what `body` throws.
    package func withConnection<Value: Sendable>(
        checked: Bool = false,
        _ body: @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let connection: PostgresConnection
        if let waiting = self.idle.popLast() {
            connection = waiting
        } else {
            connection = try await PostgresConnection.connect(self.configuration)
        }
        do {
            if checked { _ = try await connection.query("SELECT", deadline: Self.patience) }
            let value = try await body(connection)
            await self.giveBack(connection)
            return value
        } catch {
            await self.giveBack(connection)
            throw error
        }
    }

    /// Opens connections, all at once, until `count` are idle.
    ///
    /// - Throws: what the first met that could not be opened; the others stay.
    package func open(_ count: Int) async throws {
        let configuration = self.configuration
        try await withThrowingTaskGroup(of: Result<PostgresConnection, any Error>.self) { group in
            for _ in self.idle.count..<max(count, self.idle.count) {
                group.addTask {
                    do { return .success(try await PostgresConnection.connect(configuration)) } catch {
                        return .failure(error)
                    }
                }
            }
            var failure: (any Error)?
            for try await result in group {
                switch result {
                case .success(let connection): self.idle.append(connection)
                case .failure(let error): failure = failure ?? error
                }
            }
            if let failure { throw failure }
        }
    }

    private func giveBack(_ connection: PostgresConnection) async {
        if await connection.isUsable { return self.idle.append(connection) }
        // What ended this session has most likely ended the idle ones, too; each would cost a piece of work to find out.
        let idle = self.idle + [connection]
        self.idle.removeAll()
        for connection in idle { await connection.close() }
    }
}
