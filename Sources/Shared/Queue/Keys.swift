/// The names of all Redis keys of a namespace; the scripts build the same names from `prefix`.
package struct Keys: Sendable, Hashable {
    /// `{ebb}:`: the hash tag keeps all keys of a namespace on one node of a cluster.
    package let prefix: String

    package init(namespace: String) { self.prefix = "{\(namespace)}:" }

    /// The stream of a priority.
    ///
    /// Entries: r run, b batch, a attempts used, u units, f first failure, v range.
    package func stream(_ priority: Priority) -> String { "\(self.prefix)stream:\(priority.rawValue)" }

    /// Hash: a run's state and counters.
    package func run(_ run: String) -> String { "\(self.prefix)run:\(run)" }

    /// Sorted set: runs that are not over, by creation in ms.
    package var active: String { "\(self.prefix)active" }
    /// Sorted set: all runs that are remembered, by creation in ms.
    package var runs: String { "\(self.prefix)runs" }
    /// Sorted set: `run batch` by the time in ms at which it is due again.
    package var delayed: String { "\(self.prefix)delayed" }
    /// Sorted set: `run batch` by the time in ms at which it was given up on.
    package var dead: String { "\(self.prefix)dead" }
    /// Hash: the dead letters by `run batch`, as JSON.
    package var deadLetters: String { "\(self.prefix)dead:letters" }
    /// Stream: the event log.
    package var events: String { "\(self.prefix)events" }
    /// Sorted set: workers by the time in ms of their last beat.
    package var workers: String { "\(self.prefix)workers" }
    /// The token of the fleet's one sweeper of sessions, for as long as its lease lasts.
    package var sweeper: String { "\(self.prefix)sweep" }
    /// The time in ms at which the last sweep ended.
    package var lastSweep: String { "\(self.prefix)sweep:last" }
    /// Sorted set: a layout's sessions by the time in ms at which each is over if nobody uses it; by the layout's hash.
    package func sessionIndex(_ layout: String) -> String { "\(self.prefix)sweep:index:\(layout)" }
    /// There while `sessionIndex` holds every session that can be over.
    package func sessionIndexComplete(_ layout: String) -> String { "\(self.prefix)sweep:index:\(layout):complete" }
    /// List: events of deleted sessions that the product's database has not been told yet, as JSON.
    package var sessionEvents: String { "\(self.prefix)sweep:events" }
    /// Hash: one of Ebb's own sessions, by the hash of its token.
    package var session: String { "\(self.prefix)session:" }
    /// Sorted set: Ebb's own sessions by the time in ms at which they end.
    package var sessions: String { "\(self.prefix)sessions" }
}
