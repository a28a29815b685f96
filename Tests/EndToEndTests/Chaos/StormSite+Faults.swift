import Foundation
import PostgresClient
import Testing

extension StormSite {
    /// Makes one fault happen, and returns when it is over; those of the network go on by themselves.
    func inflict(_ fault: Fault) async throws {
        switch fault {
        case .killWorker(let number): try await self.killWorker(from: number)
        case .killStepOwner: try await self.killStepOwner()
        case .killProducer:
            // It has none to lose once the run is over.
            try await until("the producer is there") { self.fleet.kill(Fleet.producer) }
        case .freezeWorker(let number, let time): try await self.freeze(number, for: time)
        case .restartPostgres(let end): try await self.servers.restartPostgres(end)
        case .restartRedis(let kill): try await self.servers.restartRedis(kill: kill)
        case .network(.postgres, let fault): self.servers.postgresProxy.inflict(fault)
        case .network(.redis, let fault): self.servers.redisProxy.inflict(fault)
        case .lockRows(let count, let place, let time): try await self.lock(count, near: place, for: time)
        case .pause(let time): try await self.pause(for: time)
        }
        self.count(fault.kind)
    }

    private func killWorker(from number: Int) async throws {
        let names = (0..<Storm.workers).map { Fleet.worker((number + $0) % Storm.workers) }
        try await until("a worker is alive") { names.contains { self.fleet.kill($0) } }
    }

    /// Kills whoever holds a step; after a while without any, the first worker, so that every fault is a kill.
    private func killStepOwner() async throws {
        let giveUp = ContinuousClock.now + .milliseconds(500)
        while ContinuousClock.now < giveUp {
            if let owner = await self.stepOwner(), let name = self.fleet.name(of: owner), self.fleet.kill(name) {
                return
            }
            // Only makes room for others between two looks.
            try await Task.sleep(for: .milliseconds(2))
        }
        try await self.killWorker(from: 0)
    }

    /// Kills whoever verifies, a few times over, until the run is over.
    ///
    /// How often that comes off depends on how long a look at the table takes.
    func killVerifiers(_ most: Int) async throws {
        try await until("the run ends", within: .seconds(240)) {
            if await self.isRunOver() { return true }
            guard self.faults["kill verifier", default: 0] < most, await self.fields()?["step"] == "verify",
                let owner = await self.stepOwner(), let name = self.fleet.name(of: owner), self.fleet.kill(name)
            else { return false }
            self.count("kill verifier")
            return false
        }
    }

    /// What whoever plans or verifies now calls itself in Redis.
    private func stepOwner() async -> String? {
        guard let fields = await self.fields(), fields["step"] != "drain",
            let until = fields["step_until"].flatMap({ Double($0) }), until > Date.now.timeIntervalSince1970 * 1_000
        else { return nil }
        return fields["step_owner"]
    }

    private func freeze(_ number: Int, for time: Duration) async throws {
        var frozen: Fleet.Member?
        try await until("worker \(number) is there") {
            frozen = self.fleet.member(Fleet.worker(number))
            return frozen != nil
        }
        guard let frozen else { return }
        self.fleet.send(SIGSTOP, to: frozen)
        try await Task.sleep(for: time)
        self.fleet.send(SIGCONT, to: frozen)
    }

    /// Holds rows that are anywhere in the table: keys are random.
    private func lock(_ count: Int, near place: Double, for time: Duration) async throws {
        let prefix = String(format: "%08x", UInt32(place * Double(UInt32.max)))
        do {
            let session = try await self.servers.connectPostgres()
            _ = try await session.query("BEGIN")
            _ = try await session.query(
                """
                SELECT FROM \(self.sandbox.schema).events WHERE id >= '\(prefix)-0000-0000-0000-000000000000'
                ORDER BY id LIMIT \(count) FOR UPDATE SKIP LOCKED
                """
            )
            try await Task.sleep(for: time)
            await session.rollback()
            await session.close()
        } catch let error as PostgresError where error.isConnectionProblem {
            // The server was restarted meanwhile; the locks are gone, too.
        }
    }

    private func pause(for time: Duration) async throws {
        try await self.tell("pause")
        try await Task.sleep(for: time)
        try await self.tell("resume")
    }

    /// Until it is heard: servers may be away.
    private func tell(_ verb: String) async throws {
        try await until("the run takes \(verb)") {
            try await self.sandbox.producer(verb, self.run).status == .exited(0)
        }
    }
}
