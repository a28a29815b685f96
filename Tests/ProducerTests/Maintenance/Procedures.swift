import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Producer

extension TestBed {
    /// The same bed with leases that do not lapse by themselves, however busy the machine is.
    func withLongLeases() throws -> TestBed { try self.with(["EBB_LEASES_DURATION": "10m"]) }

    /// Something that executes the procedure as a process of its own would.
    func executor(_ observers: [any ProcedureObserver] = []) throws -> ProcedureExecutor {
        ProcedureExecutor(
            services: self.services,
            queue: self.queue,
            procedure: try #require(try self.services.procedure()),
            pool: ConnectionPool(try self.services.postgresConfiguration(as: "ebb test")),
            observers: observers
        )
    }

    /// Makes the ledger ready, and begins a run of the procedure for an executor.
    func begin(
        _ executor: ProcedureExecutor,
        selection: StageSelection = StageSelection()
    ) async throws -> Ledger.ProcedureStart {
        try await self.ledger.setup(self.connection)
        try await self.queue.setup()
        return try await self.ledger.startProcedure(
            executor.procedure.stages,
            selection: selection,
            owner: executor.owner,
            lease: executor.lease,
            self.connection
        )
    }

    /// Runs the procedure from beginning to end.
    func procedure(
        selection: StageSelection = StageSelection(),
        _ observers: [any ProcedureObserver] = []
    ) async throws -> ProcedureRecord {
        let executor = try self.executor(observers)
        guard case .owned(let record, let isNew) = try await self.begin(executor, selection: selection) else {
            throw UnexpectedState("another procedure is under way")
        }
        return try await executor.execute(record, isNew: isNew)
    }

    /// Lets the lease of the unfinished run be over, as if its owner had vanished.
    func lapse() async throws {
        try await self.run(
            "UPDATE \(self.ledger.table("procedure_run")) SET lease_until = clock_timestamp() - interval '1 s'"
        )
    }
}

extension ProcedureRecord {
    /// `Name: state` of each stage.
    var states: [String] { self.stages.map { "\($0.name): \($0.state.rawValue)" } }

    func stage(_ name: String) throws -> StageRecord { try #require(self.stages.first { $0.name == name }) }
}
