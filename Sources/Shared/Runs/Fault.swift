import PostgresClient
import RedisClient

/// What an error means for the work that met it: whose fault it is, and with that what is to be done.
package enum Fault: Sendable, Hashable {
    /// This process was told to stop.
    case stopped
    /// PostgreSQL cannot be reached, or cannot take writes from anybody just now.
    case serverAway
    /// Redis cannot be reached.
    case queueAway
    /// An object storage cannot be reached, or asks for patience.
    case storageAway
    /// Deadlock or serialization: the same again will do.
    case conflict
    /// Somebody holds a lock for longer than a batch waits.
    case locked
    /// The statement took longer than it may.
    case timeout
    /// Some row cannot be deleted: a constraint, a trigger, a value.
    case row
    /// The run cannot go on before an operator has done something: a privilege, a table, a column, another server.
    case run
    /// What the run cleans is gone for good: it can only fail.
    case gone
    /// This process has another definition of the target than the run.
    case otherDefinition
    /// The ledger does not know the run.
    case unknownRun
    /// Ebb did not write this message.
    case malformed
    /// Anything else.
    case other

    /// Sorts an error in.
    package init(_ error: any Error) {
        switch error {
        case is CancellationError: self = .stopped
        case let error as PostgresError: self = Self.of(error)
        case let error as RedisError: self = error.isServerAway ? .queueAway : .other
        case let error as StorageError: self = Self.of(error)
        case let error as FolderError:
            self = error.kind == .unsafe ? .row : error.kind == .failed ? .other : .run
        case is QueueError: self = .malformed
        case RunContext.Obstacle.otherDefinition, RunContext.Obstacle.otherStore: self = .otherDefinition
        case RunContext.Obstacle.schemaGone, RunContext.Obstacle.tableGone: self = .gone
        case RunContext.Obstacle.unknownRun: self = .unknownRun
        case is RunContext.Obstacle, is PlanningError, is ConfigurationError: self = .run
        default: self = .other
        }
    }

    private static func of(_ error: StorageError) -> Fault {
        switch error.kind {
        case .away: .storageAway
        case .refused: .run
        case .unusable: .other
        }
    }

    private static func of(_ error: PostgresError) -> Fault {
        // A server that is there may still report the failure of a connection of its own, as a foreign table's does.
        let isOthers = error.code == .server && error.sqlState?.classCode == "08"
        if error.isConnectionProblem && !isOthers || error.code == .timedOut { return .serverAway }
        guard let state = error.sqlState else { return .other }
        switch state {
        case .serializationFailure, .deadlockDetected: return .conflict
        case .lockNotAvailable: return .locked
        case .queryCanceled: return .timeout
        case .readOnlyTransaction, .diskFull, .tooManyConnections: return .serverAway
        default: return Self.byClass[state.classCode] ?? .other
        }
    }

    /// By the classes of PostgreSQL's appendix A.
    private static let byClass: [String: Fault] = [
        // Data exception, constraint violation, check option, PL/pgSQL error (raise), external routines.
        "22": .row, "23": .row, "44": .row, "P0": .row, "38": .row, "39": .row,
        // Operator intervention. Other resources (53) and system errors (58) may be one batch's own: a damaged block, say.
        "57": .serverAway,
        // Syntax error or access rule violation (privilege, missing table or column), missing schema, unsupported feature.
        "42": .run, "3F": .run, "0A": .run,
    ]
}
