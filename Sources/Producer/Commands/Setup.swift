import ArgumentParser
import Glibc
import Shared

/// `producer setup`: ledger and streams.
struct Setup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates the ledger schema in PostgreSQL and the streams in Redis; safe to repeat."
    )

    func run() async throws {
        try await reportingErrors {
            try await Self.perform(.producer())
        }
    }

    /// Makes everything ready, and says so.
    static func perform(_ services: Services) async throws {
        let session = try await Session.open(services)
        try await session.services.ledger.setup(session.connection)
        try await session.queue.setup()
        await session.close()
        print("ledger schema \(session.services.configuration.namespace) and streams are ready")
        // Whoever reads a pipe should know at once.
        fflush(nil)
    }
}
