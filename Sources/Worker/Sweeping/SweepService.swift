import Logging
import ServiceLifecycle
import Shared

/// Sweeps again and again, or once.
///
/// Any number of them may run: each asks as often as sweeps are due, and the first to ask after that sweeps.
struct SweepService: Service {
    let sweep: SessionSweep
    let interval: Duration
    let isOnce: Bool
    let logger: Logger
    /// Tells what a sweep has done.
    let show: @Sendable (SweepReport) throws -> Void

    /// How often the lease is asked for: another sweeper's end is noticed after at most this, however long the interval.
    private static let longestPause = Duration.seconds(30)

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            if self.isOnce { return try self.show(await self.sweep.run()) }
            while !Task.isCancelled {
                do {
                    let report = try await self.sweep.run(interval: self.interval)
                    if report.outcome != .elsewhere {
                        self.log(report)
                        try self.show(report)
                    }
                } catch is CancellationError {
                    return
                } catch {
                    // Redis is away, or this sweeper was held up: the next one begins anew.
                    self.logger.log(.warning, "the sweep was broken off", [.error: "\(error)"])
                }
                do { try await Task.sleep(for: min(self.interval, Self.longestPause)) } catch is CancellationError {
                    return
                }
            }
        }
    }

    private func log(_ report: SweepReport) {
        let skipped = report.skipped
        self.logger.log(
            .info,
            "sessions were swept",
            [
                .swept: "\(report.outcome.rawValue)",
                .examined: "\(report.examined)",
                .deleted: "\(report.deleted)",
                .skipped: "\(skipped.markers + skipped.malformed + skipped.foreign + skipped.hasTTL)",
                .milliseconds: "\(Int(report.seconds * 1_000))",
            ]
        )
    }
}
