import Logging
import PostgresClient
import RedisClient
import ServiceLifecycle
import Shared

/// A worker: claims batches and steps into its free slots, and settles what they come to.
///
/// Claims never exceed free slots, so a claimed batch starts at once. Slots return verdicts; this loop alone talks to the
/// queue about them, so a verdict reaches the queue even while the worker is being stopped.
struct WorkerService: Service {
    let services: Services
    let queue: Queue
    let concurrency: Int
    /// Whether to end once no run is planning, running or verifying.
    let drains: Bool

    /// What wakes the loop.
    private enum Event: Sendable {
        case verdict(Verdict)
        /// Whether PostgreSQL could be reached; nil when it was not tried, or does not matter.
        case stepEnded(reached: Bool?)
        /// The pause is over, or there may be work; with a run whose plan is being made.
        case timer(Doorbell.NewRun?)
        /// It is time to say that the worker lives.
        case beat
        case prepared
        case stop
    }

    /// How long to wait when batches are under way: their end may make a step ready for another slot.
    private static let busyPause = Duration.milliseconds(20)

    func run() async throws {
        let consumer = Self.consumer()
        let configuration = self.services.configuration
        let pool = ConnectionPool(try self.services.postgresConfiguration(as: "ebb worker"))
        let contexts = self.services.runContexts()
        let doorbell = Doorbell(queue: try self.services.queue())
        let preparation = Preparation(
            queue: self.queue,
            catalog: self.services.catalog,
            contexts: contexts,
            pool: pool,
            lease: configuration.leases.duration,
            logger: self.services.logger
        )
        let slot = Slot(
            consumer: consumer,
            queue: self.queue,
            pool: pool,
            contexts: contexts,
            executor: BatchExecutor(
                ledger: self.services.ledger,
                limits: configuration.batches,
                stores: self.services.stores,
                logger: self.services.logger
            ),
            objectExecutor: ObjectExecutor(
                ledger: self.services.ledger,
                limits: configuration.batches,
                logger: self.services.logger
            ),
            policy: FailurePolicy(limits: configuration.batches),
            lease: configuration.leases.duration,
            mostDead: configuration.dead.most,
            logger: self.services.logger
        )
        let steps = self.services.stepRunner(self.queue, contexts)
        var fetcher = Fetcher(queue: self.queue, consumer: consumer, configuration: configuration)
        let housekeeping = fetcher.housekeeping
        await preparation.open(self.concurrency, namespace: self.services.ledger.namespace)
        var breaker = CircuitBreaker(configuration.outages)
        self.services.logger.log(
            .info,
            "worker started",
            [.consumer: "\(consumer)", .slots: "\(self.concurrency)"]
        )
        try await withThrowingTaskGroup(of: Event.self) { group in
            group.addTask {
                do { try await gracefulShutdown() } catch is CancellationError {}
                return .stop
            }
            var running = 0
            /// Of those, batches: steps are no neighbours that a suspect could harm, and may take long.
            var batches = 0
            /// Preparations take a slot's place, so that connections stay within what is documented, but are no work.
            var preparing = 0
            var suspects: [Lease] = []
            var isAlone = false
            var hasTimer = false
            var hasBeat = false
            var isDrained = false
            while !isDrained {
                if batches == 0 { isAlone = false }
                // A suspect waits until no other batch runs, and then runs alone.
                let free = suspects.isEmpty && !isAlone ? self.concurrency - running - preparing : 0
                var work = Queue.Work()
                do {
                    work = try await fetcher.fetch(
                        slots: breaker.slots(free: free, running: running),
                        self.services.logger
                    )
                    // What the poll did take is worked on all the same.
                    if let failure = work.failure { throw failure }
                } catch {
                    self.services.logger.log(.warning, "the queue does not answer", [.error: "\(error)"])
                    await self.restoreStreams(after: error)
                }
                suspects += work.leases.filter(\.isSuspect)
                for lease in work.leases where !lease.isSuspect {
                    running += 1
                    batches += 1
                    group.addTask { .verdict(await slot.run(lease)) }
                }
                if let step = work.step {
                    running += 1
                    group.addTask { await self.run(step, steps, consumer, pool) }
                }
                if batches == 0, !suspects.isEmpty {
                    let suspect = suspects.removeFirst()
                    self.services.logger.log(.warning, "batch runs alone", [.batch: "\(suspect.message.batch)"])
                    running += 1
                    batches = 1
                    isAlone = true
                    group.addTask { .verdict(await slot.run(suspect)) }
                }
                if work.leases.isEmpty && work.step == nil || running >= self.concurrency {
                    if running == 0 && self.drains { isDrained = await self.isDrained() }
                    if isDrained { break }
                    // Without a free slot nothing new could be taken: the end of what is under way is soon enough.
                    if !hasTimer && running < self.concurrency {
                        let isIdle = running + preparing == 0
                        let pause =
                            isIdle ? configuration.poll.interval : min(Self.busyPause, configuration.poll.interval)
                        group.addTask {
                            do {
                                if isIdle { return .timer(try await doorbell.wait(atMost: pause)) }
                                try await Task.sleep(for: pause)
                            } catch is CancellationError {}
                            return .timer(nil)
                        }
                        hasTimer = true
                    }
                    if !hasBeat {
                        group.addTask {
                            do { try await Task.sleep(for: housekeeping) } catch is CancellationError {}
                            return .beat
                        }
                        hasBeat = true
                    }
                    switch try await group.next() {
                    case .verdict(let verdict):
                        running -= 1
                        batches -= 1
                        fetcher.settle(verdict)
                        self.note(verdict, &breaker)
                    case .stepEnded(let reached):
                        running -= 1
                        if let reached { self.note(reached: reached, &breaker) }
                    case .timer(let new):
                        hasTimer = false
                        if let new, breaker.isClosed {
                            preparing += 1
                            group.addTask {
                                await preparation.prepare(new)
                                return .prepared
                            }
                        }
                    case .prepared: preparing -= 1
                    case .beat: hasBeat = false
                    case .stop, nil: isDrained = true
                    }
                }
            }
            for suspect in suspects { fetcher.settle(.back(suspect, .release(after: .zero))) }
            try await self.shutDown(&group, &fetcher)
        }
        await doorbell.queue.close()
        self.services.logger.log(.info, "worker stopped", [.consumer: "\(consumer)"])
    }

    /// Lets batches end within the grace time, cancels the rest, and tells the queue about all of them.
    private func shutDown(_ group: inout ThrowingTaskGroup<Event, any Error>, _ fetcher: inout Fetcher) async throws {
        let grace = self.services.configuration.worker.grace
        group.addTask {
            do { try await Task.sleep(for: grace) } catch is CancellationError {}
            return .stop
        }
        if !fetcher.holdsWork { group.cancelAll() }
        while let event = try await group.next() {
            switch event {
            case .verdict(let verdict): fetcher.settle(verdict)
            case .stop: group.cancelAll()
            case .stepEnded, .timer, .beat, .prepared: break
            }
            if !fetcher.holdsWork { group.cancelAll() }
        }
        do { try await fetcher.leave() } catch {
            // What is not given back is taken over when its lease is up; what is done is in the ledger.
            self.services.logger.log(.warning, "the queue does not answer a worker that stops", [.error: "\(error)"])
        }
    }

    private func run(
        _ step: StepLease,
        _ runner: StepRunner,
        _ consumer: String,
        _ pool: ConnectionPool
    ) async -> Event {
        do {
            try await pool.withConnection(checked: true) { try await runner.run(step, owner: consumer, $0) }
            return .stepEnded(reached: true)
        } catch is CancellationError {
        } catch is LeaseLost {
            // Somebody else has it now, or the run was paused or is to end.
        } catch {
            self.services.logger.log(
                .warning,
                "step failed",
                [.run: "\(step.run)", .step: "\(step.step.rawValue)", .error: "\(error)"]
            )
            return .stepEnded(reached: Fault(error) == .serverAway ? false : nil)
        }
        return .stepEnded(reached: nil)
    }

    private func note(_ verdict: Verdict, _ breaker: inout CircuitBreaker) {
        switch verdict {
        case .done: self.note(reached: true, &breaker)
        case .outage: self.note(reached: false, &breaker)
        case .back(_, .retry), .back(_, .dead), .back(_, .split): self.note(reached: true, &breaker)
        case .back, .paused, .declined, .lost: break
        }
    }

    private func note(reached: Bool, _ breaker: inout CircuitBreaker) {
        let wasClosed = breaker.isClosed
        if reached { breaker.succeeded() } else { breaker.failed() }
        guard breaker.isClosed != wasClosed else { return }
        self.services.logger.warning(
            reached ? "PostgreSQL is back" : "PostgreSQL is away; nothing is claimed meanwhile"
        )
    }

    /// Creates the streams anew when Redis has lost them; the runs in it are for `enqueue` to restore from the ledger.
    private func restoreStreams(after error: any Error) async {
        guard let error = error as? RedisError, error.prefix == "NOGROUP" else { return }
        do { try await self.queue.setup() } catch {
            self.services.logger.log(.warning, "the streams cannot be created", [.error: "\(error)"])
        }
    }

    private func isDrained() async -> Bool {
        do {
            for run in try await self.queue.activeRuns() {
                let state = try await self.queue.fields(of: run)["state"]
                if state != RunState.paused.rawValue { return false }
            }
            return true
        } catch {
            // Whether anything is left cannot be told while Redis is away.
            self.services.logger.log(.warning, "the queue does not answer", [.error: "\(error)"])
            return false
        }
    }

    /// New on every start: a name that came back would inherit what its predecessor left pending.
    private static func consumer() -> String {
        let host = HostName.current
        return "\(host)-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    }
}
