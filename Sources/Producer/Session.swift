import ArgumentParser
import Logging
import PostgresClient
import Shared

/// A producer command's connections: one to each server, opened before anything is done, so that a wrong URL stops the
/// command with nothing half done.
struct Session: Sendable {
    let services: Services
    let queue: Queue
    let connection: PostgresConnection
    let contexts: RunContexts

    /// - Throws: `ConfigurationError`, `PostgresError`, `RedisError`, `QueueError`.
    static func open(_ services: Services) async throws -> Session {
        let queue = try services.queue()
        let connection = try await services.connectPostgres(as: "ebb producer")
        try await services.ledger.checkServer(connection)
        for warning in try await queue.checkServer() {
            services.logger.log(.warning, "Redis is not as it should be", [.error: "\(warning)"])
        }
        return Session(services: services, queue: queue, connection: connection, contexts: services.runContexts())
    }

    /// This session, with a new connection to PostgreSQL if its own has broken.
    func mended() async throws -> Session {
        if await self.connection.isUsable { return self }
        await self.connection.close()
        let connection = try await self.services.connectPostgres(as: "ebb producer")
        return Session(services: self.services, queue: self.queue, connection: connection, contexts: self.contexts)
    }

    func close() async {
        await self.connection.close()
        await self.queue.close()
    }

    /// The state of a run by Redis.
    ///
    /// - Throws: `CommandError` when it is not known there.
    func status(of run: String) async throws -> RunStatus { try await self.queue.status(of: run) }
}

extension Queue {
    /// - Throws: `CommandError` when the run is not known.
    func status(of run: String) async throws -> RunStatus {
        let fields = try await self.fields(of: run)
        guard !fields.isEmpty else {
            throw CommandError("run \(run) is not known in Redis; producer runs lists those that are")
        }
        return try RunStatus(fields: fields)
    }
}

/// What is wrong with a command's wish, in one sentence.
struct CommandError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

extension Services {
    /// The store of a target.
    ///
    /// - Throws: `CommandError` when it is off.
    func store(of target: ObjectTarget) throws -> ObjectStore {
        switch try self.stores.store(named: target.store) {
        case .on(let store): store
        case .off(let reason): throw CommandError("target \(target.name) is off: \(reason)")
        }
    }

    /// The services of a producer command.
    static func producer() throws(ConfigurationError) -> Services {
        var services = try Services(environment: .process(), label: "ebb.producer")
        // A command tells its news itself; standard error is for what went wrong, unless somebody asks for more.
        if services.logger.logLevel == .info { services.logger.logLevel = .notice }
        return services
    }
}
