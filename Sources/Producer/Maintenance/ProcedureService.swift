import Logging
import PostgresClient
import ServiceLifecycle
import Shared

/// Executes runs of the procedure that nobody is at: those that a schedule has let begin, and those whose process has vanished.
///
/// Any number of replicas may do so: the ledger gives each run to one of them.
struct ProcedureService: Service {
    let services: Services
    let queue: Queue
    let procedure: Procedure

    /// How often to look: how late a procedure begins after its slot.
    private static let pause = Duration.seconds(1)

    func run() async throws {
        let pool = ConnectionPool(try self.services.postgresConfiguration(as: "ebb serve"))
        let executor = ProcedureExecutor(
            services: self.services,
            queue: self.queue,
            procedure: self.procedure,
            pool: pool,
            observers: [try ProcedureTeller(self.services, self.queue), ProcedureLog(logger: self.services.logger)]
        )
        do {
            try await cancelWhenGracefulShutdown { try await self.look(executor) }
        } catch is CancellationError {
            // Another replica, or the next process here, goes on at once.
            do {
                try await pool.withConnection { try await self.services.ledger.leaveProcedures(of: executor.owner, $0) }
            } catch {
                self.services.logger.log(.debug, "the procedure's lease was not given back", [.error: "\(error)"])
            }
        }
    }

    private func look(_ executor: ProcedureExecutor) async throws {
        var outage = Outage(self.services.configuration.outages)
        while true {
            var pause = Self.pause
            do {
                let (ledger, owner, lease) = (self.services.ledger, executor.owner, executor.lease)
                let taken = try await executor.pool.withConnection(checked: true) {
                    try await ledger.upgrade($0) ? ledger.takeOverProcedure(owner: owner, lease: lease, $0) : nil
                }
                outage.ended()
                if let taken { _ = try await executor.execute(taken.record, isNew: taken.isNew) }
            } catch let error as CancellationError {
                throw error
            } catch is LeaseLost {
                // Another replica has it.
            } catch {
                // That the database is away, the scheduler beside this says; a run that could not be taken to its end is lapsed soon.
                let level: Logger.Level = Fault(error) == .serverAway ? .debug : .warning
                self.services.logger.log(level, "the procedure has to wait", [.error: "\(error)"])
                pause = max(pause, outage.failed())
            }
            try await Task.sleep(for: pause)
        }
    }
}

/// Logs how a run of the procedure comes along.
struct ProcedureLog: ProcedureObserver {
    let logger: Logger

    func note(_ news: ProcedureNews) async {
        switch news {
        case .began(let record, let isNew):
            self.logger.log(.info, isNew ? "procedure begins" : "procedure goes on", [.procedure: "\(record.id)"])
        case .stageBegan, .progress: return
        case .waits(let stage):
            self.logger.log(.warning, "no worker is alive; the procedure waits for one", [.stage: "\(stage.name)"])
        case .stageEnded(let record, let stage):
            self.logger.log(
                stage.state == .failed ? .error : .info,
                "stage over",
                [
                    .procedure: "\(record.id)", .stage: "\(stage.name)", .stageState: "\(stage.state.rawValue)",
                    .stageRows: "\(stage.rows)", .stageReason: "\(stage.reason ?? "")",
                ]
            )
        case .ended(let record):
            self.logger.log(
                record.state == .failed ? .error : .info,
                "procedure over",
                [
                    .procedure: "\(record.id)", .procedureState: "\(record.state.rawValue)",
                    .procedureRows: "\(record.rows)", .error: "\(record.error ?? "")",
                ]
            )
        }
    }
}
