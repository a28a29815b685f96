/// The five-character code that PostgreSQL attaches to every error.
///
/// Matches thrown errors, so that `catch SQLState.uniqueViolation { … }` reads as it should.
package struct SQLState: RawRepresentable, Hashable, Sendable {
    /// The code as the server sent it, for example `23505`.
    package let rawValue: String

    /// Accepts any text: servers and extensions may define codes of their own.
    package init(rawValue: String) { self.rawValue = rawValue }

    /// The first two characters, which name the class of the error.
    package var classCode: String { String(self.rawValue.prefix(2)) }

    /// Matches a thrown ``PostgresError`` that carries this code.
    package static func ~= (pattern: SQLState, error: any Error) -> Bool {
        (error as? PostgresError)?.sqlState == pattern
    }

    /// Whether a table, or the schema that should hold it, is not there.
    package static func isMissing(_ error: any Error) -> Bool {
        Self.undefinedTable ~= error || Self.undefinedSchema ~= error
    }
}

extension SQLState {
    package static let connectionFailure = SQLState(rawValue: "08006")
    package static let invalidParameterValue = SQLState(rawValue: "22023")
    package static let notNullViolation = SQLState(rawValue: "23502")
    /// A foreign key's RESTRICT, from PostgreSQL 18 on; ``foreignKeyViolation`` before.
    package static let restrictViolation = SQLState(rawValue: "23001")
    package static let foreignKeyViolation = SQLState(rawValue: "23503")
    package static let uniqueViolation = SQLState(rawValue: "23505")
    package static let checkViolation = SQLState(rawValue: "23514")
    package static let readOnlyTransaction = SQLState(rawValue: "25006")
    package static let failedTransaction = SQLState(rawValue: "25P02")
    package static let invalidAuthorization = SQLState(rawValue: "28000")
    package static let invalidPassword = SQLState(rawValue: "28P01")
    package static let unknownDatabase = SQLState(rawValue: "3D000")
    package static let serializationFailure = SQLState(rawValue: "40001")
    package static let deadlockDetected = SQLState(rawValue: "40P01")
    package static let insufficientPrivilege = SQLState(rawValue: "42501")
    package static let syntaxError = SQLState(rawValue: "42601")
    package static let undefinedColumn = SQLState(rawValue: "42703")
    package static let undefinedTable = SQLState(rawValue: "42P01")
    package static let undefinedSchema = SQLState(rawValue: "3F000")
    package static let diskFull = SQLState(rawValue: "53100")
    package static let tooManyConnections = SQLState(rawValue: "53300")
    package static let lockNotAvailable = SQLState(rawValue: "55P03")
    package static let queryCanceled = SQLState(rawValue: "57014")
    package static let adminShutdown = SQLState(rawValue: "57P01")
    package static let crashShutdown = SQLState(rawValue: "57P02")
    package static let cannotConnectNow = SQLState(rawValue: "57P03")
}
