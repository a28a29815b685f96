import Logging
import PostgresClient
import ServiceLifecycle
import Shared

/// Takes steps of any run, one at a time: planning, verifying, the end.
///
/// Batches are for workers.
struct StepService: Service {
    let services: Services
    let queue: Queue

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.work() }
        } catch is CancellationError {}
    }

    private func work() async throws {
        let owner = "serve-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let pool = ConnectionPool(try self.services.postgresConfiguration(as: "ebb serve"))
        let runner = self.services.stepRunner(self.queue)
        let configuration = self.services.configuration
        var outage = Outage(configuration.outages)
        var isReady = false
        while true {
            var pause = configuration.poll.interval
            do {
                if !isReady { try await self.prepare() }
                isReady = true
                if let step = try await self.queue.takeStep(owner: owner, lease: configuration.leases.duration) {
                    try await pool.withConnection(checked: true) { try await runner.run(step, owner: owner, $0) }
                    pause = .zero
                }
                outage.ended()
            } catch let error as CancellationError {
                throw error
            } catch is LeaseLost {
                // Somebody else has it now, or the run was paused or is to end.
            } catch  where isReady || Fault(error) == .queueAway {
                let isAway = [.serverAway, .queueAway].contains(Fault(error))
                if !isAway || !outage.isOn {
                    self.services.logger.log(.warning, "a step could not be done", [.error: "\(error)"])
                }
                if isAway { pause = outage.failed() }
            }
            try await Task.sleep(for: pause)
        }
    }

    private func prepare() async throws {
        for warning in try await self.queue.checkServer() {
            self.services.logger.log(.warning, "Redis is not as it should be", [.error: "\(warning)"])
        }
    }
}
