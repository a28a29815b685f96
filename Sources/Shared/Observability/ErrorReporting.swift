package import ArgumentParser
import Glibc
import PostgresClient

/// Exit codes of DESIGN 3.1; 64, for usage, is the argument parser's own.
extension ExitCode {
    /// A run failed, was cancelled, was paused by an error, or timed out.
    package static let runFailed = ExitCode(1)
    /// Configuration or connection.
    package static let unusable = ExitCode(2)
}

/// Runs a command; an error ends it with one sentence on standard error and an exit code.
///
/// The argument parser would print errors with its own prefix and always exit with 1.
package func reportingErrors(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let code as ExitCode {
        throw code
    } catch {
        let hint = SQLState.insufficientPrivilege ~= error ? "; producer doctor says what the role lacks" : ""
        complain("\(error)\(hint)")
        throw ExitCode.unusable
    }
}

/// Writes one sentence to standard error.
package func complain(_ sentence: String) {
    let line = sentence + "\n"
    // When standard error is closed, nobody is left to tell. (C's `stderr` is a variable, which Swift 6 refuses.)
    _ = write(STDERR_FILENO, line, line.utf8.count)
}
