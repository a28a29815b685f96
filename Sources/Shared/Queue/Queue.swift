package import RedisClient

/// The queue of a namespace: batches in Redis streams, leased, settled, retried and given up on, each in one script.
///
/// Methods may be repeated after a lost connection; each says what a repetition does.
package struct Queue: Sendable {
    package let redis: RedisClient
    package let keys: Keys

    /// How many events the event log keeps.
    private let mostEvents: Int

    package init(
        redis: RedisClient,
        namespace: String,
        mostEvents: Int = EbbConfiguration.Events().most
    ) {
        self.redis = redis
        self.mostEvents = mostEvents
        self.keys = Keys(namespace: namespace)
    }

    /// Creates the streams and their consumer group.
    ///
    /// Idempotent.
    ///
    /// - Throws: `QueueError` for a server that cannot be used; `RedisError`.
    package func setup() async throws {
        // Whoever starts something has asked before, and told what is doubtful.
        _ = try await self.checkServer()
        _ = try await self.redis.evaluate(
            QueueScripts.setup,
            keys: [self.keys.prefix],
            arguments: [String(self.mostEvents)]
        )
    }

    /// Closes the connection.
    package func close() async { await self.redis.close() }

    /// The streams, most urgent first.
    package var streams: [String] { Priority.allCases.map(self.keys.stream) }

    /// What a poll asks for, in one round trip.
    package struct Poll: Sendable {
        package var consumer: String
        package var lease: Duration
        /// Free slots: a batch is claimed only when it can start at once.
        package var slots: Int
        /// Batches that are done, at most 100; told before anything is taken over or claimed.
        package var settlements: [Settlement]
        /// Leases to look for that ran out, with the cursor of each stream; nil when it is not time yet.
        package var reclaim: [String: String]?
        /// Most open batches of a run to plan ahead, and most before any was measured.
        package var ahead: (most: Int, unmeasured: Int)
        /// For how long the first step of a new run is left to whoever has created it, and knows its table already.
        package var headStart: Duration

        package init(
            consumer: String,
            lease: Duration,
            slots: Int,
            settlements: [Settlement] = [],
            reclaim: [String: String]?,
            ahead: (most: Int, unmeasured: Int) = Queue.ahead,
            headStart: Duration = .milliseconds(50)
        ) {
            self.consumer = consumer
            self.lease = lease
            self.slots = slots
            self.settlements = settlements
            self.reclaim = reclaim
            self.ahead = ahead
            self.headStart = headStart
        }
    }

    /// DESIGN 3.3 for the first; the second is a few seconds of work for one worker, enough to learn how long a batch takes:
    /// whatever is cut by the guess alone keeps its size, and pays for its pivots as often.
    package static let ahead = (most: 4_096, unmeasured: 16)

    /// What a poll found.
    package struct Work: Sendable {
        package var leases: [Lease] = []
        package var step: StepLease?
        package var cursors: [String: String] = [:]
        /// Whether the queue has taken the poll's settlements in.
        package var isSettled = false
        /// Milliseconds until the next delayed batch is due; nil when none waits.
        package var nextDue: Int?
        /// Entries that are no batches, one sentence each.
        package var malformed: [QueueError] = []
        /// What a part of the poll met; what the other parts have taken is here all the same.
        package var failure: RedisError?

        package init() {}
    }

    /// Settles what is done, takes over leases that ran out, promotes what is due, claims batches for the slots that stay free,
    /// and a step.
    ///
    /// All in one round trip, unless leases are looked for: slots are idle meanwhile, and Redis may be far away. Repeating it may
    /// claim more than `slots`; what is claimed and never started is reclaimed after a lease.
    package func poll(_ poll: Poll) async throws -> Work {
        let prefix = self.keys.prefix
        var work = Work()
        var settling = poll.settlements.isEmpty ? [] : [self.settling(poll.settlements, consumer: poll.consumer)]
        // Sends requests behind the settlements, which go with the first that are sent.
        func send(_ requests: [RedisRequest]) async throws -> [Result<RESPValue, RedisError>] {
            let settled = settling.count
            let replies = try await self.redis.pipeline(settling + requests)
            settling = []
            for reply in replies { if case .failure(let error) = reply { work.failure = error } }
            if settled > 0 { work.isSettled = replies[0].value != nil }
            return Array(replies.dropFirst(settled))
        }
        // One stream after the other, so that what is taken over never exceeds the slots; at most once a second.
        for (stream, cursor) in poll.reclaim ?? [:] where work.leases.count < poll.slots {
            do {
                let request = RedisRequest.script(
                    QueueScripts.reclaim,
                    keys: [prefix, stream],
                    arguments: [
                        poll.consumer, poll.lease.milliseconds, cursor, String(poll.slots - work.leases.count),
                    ]
                )
                let reply = try await send([request])[0].get().array ?? []
                work.cursors[stream] = reply.first?.string ?? "0-0"
                self.add(reply.last?.array ?? [], to: &work)
            } catch let error as RedisError {
                work.failure = error
                // Each further request to a silent server would take its whole time-out.
                if error.isConnectionProblem { return work }
            }
        }
        let requests: [RedisRequest] = [
            .script(QueueScripts.promote, keys: [prefix], arguments: ["100"]),
            .script(
                QueueScripts.claim,
                keys: [prefix] + Self.preference(of: self.streams),
                arguments: [poll.consumer, String(poll.slots - work.leases.count)]
            ),
            .script(
                QueueScripts.takeStep,
                keys: [prefix],
                arguments: [
                    poll.consumer, poll.lease.milliseconds, String(poll.ahead.most), String(poll.ahead.unmeasured), "",
                    poll.headStart.milliseconds,
                ]
            ),
        ]
        do {
            let replies = try await send(requests)
            if let due = replies[0].value?.array?.last?.int, due >= 0 { work.nextDue = due }
            self.add(replies[1].value?.array ?? [], to: &work)
            work.step = replies[2].value.flatMap(Self.step)
        } catch let error as RedisError {
            work.failure = error
        }
        return work
    }

    private func add(_ entries: [RESPValue], to work: inout Work) {
        for entry in entries {
            do { work.leases.append(try Lease(entry)) } catch { work.malformed.append(error) }
        }
    }

    /// Urgent streams first; one poll in eight the other way round, so that the least urgent never starves.
    private static func preference(of streams: [String]) -> [String] {
        Int.random(in: 0..<8) == 0 ? streams.reversed() : streams
    }

    /// Counts a start of a redelivered batch; nil when the lease is lost.
    package func start(_ lease: Lease, consumer: String) async throws -> Int? {
        let starts =
            try await self.redis.evaluate(
                QueueScripts.start,
                keys: [self.keys.prefix, lease.stream],
                arguments: [consumer, lease.entry, String(lease.token), lease.message.run, lease.message.batch]
            ).int ?? -1
        return starts < 0 ? nil : starts
    }

    /// Keeps leases alive; false for each that is lost.
    package func beat(_ leases: [Lease], consumer: String) async throws -> [Bool] {
        let arguments = leases.flatMap { [$0.stream, $0.entry, String($0.token)] }
        let reply = try await self.redis.evaluate(
            QueueScripts.beat,
            keys: [self.keys.prefix],
            arguments: [consumer] + arguments
        )
        return (reply.array ?? []).map { $0.int == 1 }
    }

    /// Settles batches as done; false for each whose lease was lost, which after a commit is no failure: the ledger has
    /// the row, and whoever holds the lease now settles it from there.
    package func acknowledge(_ settlements: [Settlement], consumer: String) async throws -> [Bool] {
        let reply = try await self.redis.pipeline([self.settling(settlements, consumer: consumer)])[0].get()
        return (reply.array ?? []).map { $0.int == 1 }
    }

    private func settling(_ settlements: [Settlement], consumer: String) -> RedisRequest {
        let arguments = settlements.flatMap { settlement in
            let lease = settlement.lease
            return [
                lease.stream, lease.entry, String(lease.token), lease.message.run, lease.message.batch,
                String(settlement.rows), String(settlement.cascaded), String(settlement.bytes),
                String(settlement.isMeasured ? lease.message.units : 0),
                String(settlement.isMeasured && lease.message.units > 0 ? settlement.microseconds : 0),
            ]
        }
        return .script(QueueScripts.ack, keys: [self.keys.prefix], arguments: [consumer] + arguments)
    }

    /// Forgets consumers and workers that have been silent for longer than `age`, and dead letters that are too old.
    package func reap(silentFor age: Duration, deadLetters: Duration) async throws {
        _ = try await self.redis.evaluate(
            QueueScripts.reap,
            keys: [self.keys.prefix],
            arguments: [age.milliseconds, deadLetters.milliseconds]
        )
    }

    /// Removes a worker that stops.
    package func leave(_ consumer: String) async throws {
        _ = try await self.redis.evaluate(QueueScripts.leave, keys: [self.keys.prefix], arguments: [consumer])
    }

    static func step(_ reply: RESPValue) -> StepLease? {
        guard let parts = reply.array, parts.count == 3, let run = parts[0].string,
            let step = parts[1].string.flatMap(StepLease.Step.init(rawValue:)), let token = parts[2].int
        else { return nil }
        return StepLease(run: run, step: step, token: token)
    }
}

extension Result {
    /// The success; nil for a failure.
    fileprivate var value: Success? { if case .success(let value) = self { value } else { nil } }
}

extension Duration {
    /// Whole milliseconds as text, rounded up, as scripts take them.
    var milliseconds: String { String((self.wholeMicroseconds + 999) / 1_000) }
}
