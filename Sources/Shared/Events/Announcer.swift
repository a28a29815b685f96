import FoundationEssentials
import Logging
import PostgresClient
import RedisClient

/// Tells another system how a procedure comes along; see ``Announcement``.
///
/// Nothing fails because of it: what cannot be told is logged, and the procedure goes on. The row's id is the procedure's
/// to keep, from before the row is made, so that whoever takes over goes on with the same row; a row that is not there is
/// made, and one that is there already is changed, whichever was asked for.
package actor Announcer {
    /// How the announced thing stands.
    package enum Status: String, Sendable {
        case inProgress = "in_progress"
        case finished
        case failed
    }

    /// What came of telling.
    package enum Telling: Sendable {
        case told
        /// Nor would it be told another time: the table refuses the values, or the row has another end; or the table cannot be used,
        /// and this was no end.
        case refused
        /// It may be told another time, as an end may once somebody has mended the table.
        case unreached
    }

    private let announcement: Announcement
    private let channel: String?
    /// Its own connection: a statement that takes too long ends the session.
    private let pool: ConnectionPool
    private let redis: RedisClient
    private let logger: Logger
    /// The rows for which the other system's table has turned out to be no use: nothing but their end is told any more.
    private var refused: Set<String> = []

    /// For one statement.
    private let patience: Duration

    init(
        _ announcement: Announcement,
        channel: String?,
        pool: ConnectionPool,
        redis: RedisClient,
        patience: Duration,
        logger: Logger
    ) {
        self.announcement = announcement
        self.channel = channel
        self.pool = pool
        self.redis = redis
        self.patience = patience
        self.logger = logger
    }

    /// An id for a new row.
    package static func newID() -> String { UUID().uuidString.lowercased() }

    /// Makes the row, in progress.
    ///
    /// - `id`: of ``newID()``, which the caller has stored.
    @discardableResult
    package func begin(_ id: String, description: String, summary: String = "{}") async -> Telling {
        await self.tell(
            [self.announcement.insert, self.announcement.update],
            Self.values(id, .inProgress, description, 0, summary)
        )
    }

    /// Changes the row, or makes it if it is not there.
    ///
    /// - `progress`: 0 to 100.
    /// - `summary`: JSON.
    /// - Returns: `unreached` when the task is cancelled, so what must be told then has to be told by another task.
    @discardableResult
    package func update(
        _ id: String,
        status: Status = .inProgress,
        description: String,
        progress: Double,
        summary: String = "{}"
    ) async -> Telling {
        await self.tell(
            [self.announcement.update, self.announcement.insert],
            Self.values(id, status, description, progress, summary)
        )
    }

    /// Changes the row to its end, finished or failed.
    ///
    /// - Returns: as ``update(_:status:description:progress:summary:)``.
    @discardableResult
    package func finish(_ id: String, failed: Bool, description: String, summary: String) async -> Telling {
        await self.update(
            id,
            status: failed ? .failed : .finished,
            description: description,
            progress: 100,
            summary: summary
        )
    }

    private static func values(
        _ id: String,
        _ status: Status,
        _ description: String,
        _ progress: Double,
        _ summary: String
    ) -> [Announcement.Value: String] {
        [
            .id: id, .status: status.rawValue, .description: description,
            .progress: "\(min(100, max(0, progress)))", .summary: summary,
        ]
    }

    /// Runs the statements up to the first that finds a row, and publishes what it returns.
    ///
    /// An end is told again and again for a while: nothing would come after it to say so.
    private func tell(_ statements: [Announcement.BoundText], _ values: [Announcement.Value: String]) async -> Telling {
        var values = values
        values[.topic] = self.announcement.topic
        let isEnd = values[.status] != Status.inProgress.rawValue
        var pauses = isEnd ? Self.pauses[...] : []
        let id = values[.id] ?? ""
        while isEnd || !self.refused.contains(id) {
            do {
                guard let messages = try await self.write(statements, values) else { return .refused }
                await self.publish(messages)
                return .told
            } catch let error as PostgresError where Fault(error) == .run {
                self.warn("nobody is told of what happens: the other system's table cannot be used", error)
                self.refused.insert(id)
                if isEnd { return .unreached }
            } catch let error as PostgresError where Fault(error) != .row {
                self.warn("another system could not be told", error)
                guard let pause = pauses.popFirst() else { return .unreached }
                do { try await Task.sleep(for: pause) } catch { return .unreached }
            } catch let error as PostgresError {
                self.warn("another system could not be told", error)
                return .refused
            } catch {
                self.warn("another system could not be told", error)
                return .unreached
            }
        }
        return .refused
    }

    /// As long as a server may take to start again.
    private static let pauses = [Duration.seconds(1), .seconds(2), .seconds(4), .seconds(8)]

    /// - Returns: what the statement returned that found a row; nil when none did.
    private func write(
        _ statements: [Announcement.BoundText],
        _ values: [Announcement.Value: String]
    ) async throws -> [String]? {
        try await self.pool.withConnection(checked: true) { connection in
            for statement in statements {
                let result = try await connection.query(
                    statement.sql,
                    statement.values.map { values[$0] },
                    deadline: self.patience
                )
                if result.affectedRows > 0 { return result.columns.isEmpty ? [] : result.rows.compactMap { $0[0] } }
            }
            return nil
        }
    }

    private func warn(_ message: Logger.Message, _ error: any Error) {
        self.logger.log(.warning, message, [.event: "\(self.announcement.topic)", .error: "\(error)"])
    }

    /// The row is what counts; a message that nobody gets is missed by those who look at it live.
    private func publish(_ messages: [String]) async {
        guard let channel else { return }
        for message in messages {
            do { _ = try await self.redis.send("PUBLISH", channel, message) } catch {
                self.warn("another system could not be told at once", error)
            }
        }
    }
}

extension Services {
    /// Tells another system of what has this topic; nil when none is to be told.
    ///
    /// - Throws: `ConfigurationError`.
    package func announcer(_ topic: String, _ queue: Queue) throws -> Announcer? {
        guard let announcement = try Announcement.load(self.configuration).first(where: { $0.topic == topic }) else {
            return nil
        }
        var lookup = VariableLookup(self.environment)
        if let enabled = announcement.enabled {
            let name = enabled.source("\(AnnouncementParser.section).\(topic).enabled")
            guard let text = try enabled.value(&lookup) else { return nil }
            do { guard try FlagText.parse(text) else { return nil } } catch {
                throw ConfigurationError(name: name, rejected: error)
            }
        }
        return Announcer(
            announcement,
            channel: try announcement.channel?.value(&lookup),
            pool: ConnectionPool(try self.postgresConfiguration(as: "ebb announcer")),
            redis: queue.redis,
            patience: self.patience.telling,
            logger: self.logger
        )
    }
}
