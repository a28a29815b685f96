import ArgumentParser
import Shared

/// `producer setup`: ledger and streams.
struct Setup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates the ledger schema in PostgreSQL and the streams in Redis; safe to repeat."
    )

    func run() async throws {
        try await reportingErrors {
            let session = try await Session.open(.producer())
            try await session.services.ledger.setup(session.connection)
            try await session.queue.setup()
            await session.close()
            print("ledger schema \(session.services.configuration.namespace) and streams are ready")
        }
    }
}
