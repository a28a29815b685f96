import RedisClient

/// Batches that a worker gives back without having done them.
extension Queue {
    /// How a batch is given back; see the contracts of `fail.lua` and `split.lua`.
    package enum Return: Sendable, Hashable {
        /// Back into the queue, no attempt used.
        case release(after: Duration)
        /// One attempt used.
        case retry(after: Duration, error: BatchError)
        /// Given up on; of letters beyond `most`, the oldest goes. The ledger knows already. With `range`, the letter has that
        /// instead of the batch's own: the key of its only row, say.
        case dead(BatchError, range: BatchRange?, most: Int)
        /// The run is over by the ledger.
        case cancelled
        /// Two halves take its place, no attempt used. The ledger knows already.
        case split(Halves, because: SplitReason)
    }

    /// What replaces a batch that is split.
    package struct Halves: Sendable, Hashable {
        package var first: BatchRange
        package var second: BatchRange

        package init(_ first: BatchRange, _ second: BatchRange) {
            self.first = first
            self.second = second
        }
    }

    /// Why a batch is split.
    package enum SplitReason: Sendable, Hashable {
        /// It took longer than it may, at least so long: batches that are yet to be cut should be smaller.
        case time(Duration)
        /// Some row of it has an error of its own.
        case row(BatchError)
        /// Somebody has locked rows of it, or it was split before and the queue has not heard of it.
        case other
    }

    /// Gives a batch back.
    ///
    /// A repetition finds the lease lost, which is what it should be.
    package func giveBack(_ lease: Lease, _ how: Return, consumer: String) async throws {
        func fail(
            _ kind: String,
            after delay: Duration = .zero,
            _ error: BatchError? = nil,
            range: BatchRange? = nil,
            most: Int = 1
        ) async throws {
            _ = try await self.redis.evaluate(
                QueueScripts.fail,
                keys: [self.keys.prefix, lease.stream],
                arguments: [
                    consumer, lease.entry, String(lease.token), kind, delay.milliseconds, error?.sqlState ?? "",
                    error?.message ?? "", String(most), range?.encoded ?? "",
                ]
            )
        }
        switch how {
        case .release(let delay): try await fail("release", after: delay)
        case .retry(let delay, let error): try await fail("retry", after: delay, error)
        case .dead(let error, let range, let most): try await fail("dead", error, range: range, most: most)
        case .cancelled: try await fail("cancel")
        case .split(let halves, let reason): try await self.split(lease, halves, reason, consumer)
        }
    }

    private func split(_ lease: Lease, _ halves: Halves, _ reason: SplitReason, _ consumer: String) async throws {
        let parts =
            switch reason {
            case .time(let duration): ["time", String(duration.wholeMicroseconds), ""]
            case .row(let error): ["row", "0", error.description]
            case .other: ["other", "0", ""]
            }
        _ = try await self.redis.evaluate(
            QueueScripts.split,
            keys: [self.keys.prefix, lease.stream],
            arguments: [consumer, lease.entry, String(lease.token)] + parts
                + [halves.first.encoded, halves.second.encoded]
        )
    }
}

/// What went wrong with a batch, as dead letters keep it.
package struct BatchError: Sendable, Hashable, CustomStringConvertible {
    /// nil when PostgreSQL did not say anything.
    package var sqlState: String?
    /// At most 500 characters: it is kept in Redis.
    package var message: String

    package init(sqlState: String? = nil, _ message: String) {
        self.sqlState = sqlState
        self.message = String(message.prefix(500))
    }

    package var description: String { self.message }
}
