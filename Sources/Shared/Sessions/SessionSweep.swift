import FoundationEssentials
package import Logging
import PostgresClient
import RedisClient

/// The sweep: removes the sessions of a layout that are over.
///
/// One sweeper of the fleet works at a time: it holds a lease, which every script checks and renews. Nothing is deleted by what
/// was read before: a script reads a page of sessions, compares them with Redis's clock and deletes, all in one step.
package struct SessionSweep: Sendable {
    let layout: SessionLayout
    private let queue: Queue
    private let lease: Duration
    private let tokenForm: SessionTokenForm
    private let database: ConnectionPool?
    private let isIndexed: Bool
    private let patience: Patience
    private let logger: Logger

    /// - `lease`: how late a sweeper that was killed is replaced.
    /// - `database`: where the layout's events go; nil for no events.
    /// - `isIndexed`: whether sweeps keep a ``SessionIndex``, which has to serve the layout.
    package init(
        layout: SessionLayout,
        queue: Queue,
        lease: Duration,
        tokenForm: SessionTokenForm,
        database: ConnectionPool?,
        isIndexed: Bool = false,
        patience: Patience = Patience(),
        logger: Logger
    ) {
        self.layout = layout
        self.queue = queue
        self.lease = lease
        self.tokenForm = tokenForm
        self.database = database
        self.isIndexed = isIndexed
        self.patience = patience
        self.logger = logger
    }

    /// Upper bounds of the histogram of ages, in seconds: ten minutes, an hour, a day, three days, a week, a month.
    static let bounds = [600, 3_600, 86_400, 259_200, 604_800, 2_592_000]

    /// Events that may wait for a database that is away: some 10 MB of Redis.
    private static let mostEvents = 100_000

    /// Sweeps once.
    ///
    /// - `interval`: how long ago the fleet's last sweep must have ended, or this one does not begin.
    /// - Throws: `RedisError`; `LeaseLost` when this process was held up so long that another one took over. What was deleted
    ///   is deleted.
    package func run(interval: Duration = .zero) async throws -> SweepReport {
        let token = UUID().uuidString
        let wait = try await self.acquire(token, interval)
        guard wait == .zero else {
            var report = SweepReport(outcome: .elsewhere, layout: self.layout.name)
            report.wait = wait
            return report
        }
        do {
            let report = try await self.sweep(token)
            try await self.release(token, isComplete: report.outcome == .finished)
            // One that found nothing to do has done nothing: with one every few minutes, they would hide all others.
            if report.deleted > 0 || report.outcome == .stopped {
                await self.queue.events.tell(report.event, self.logger)
            }
            return report
        } catch {
            // The lease would lapse by itself; the error matters more than a second one.
            do { try await self.release(token, isComplete: false) } catch let second {
                self.logger.log(.debug, "the sweeper's lease was not given back", [.error: "\(second)"])
            }
            throw error
        }
    }

    /// - Returns: how long to wait before the next try; zero when the lease is this one's.
    private func acquire(_ token: String, _ interval: Duration) async throws -> Duration {
        let keys = self.queue.keys
        let wait = try await self.queue.redis.evaluate(
            SessionScripts.acquire,
            keys: [keys.sweeper, keys.lastSweep],
            arguments: [token, self.lease.milliseconds, interval.milliseconds]
        )
        guard let milliseconds = wait.int else {
            throw RedisError(.unexpectedReply, "the script that takes the sweeper's lease returned no number")
        }
        return .milliseconds(milliseconds)
    }

    private func release(_ token: String, isComplete: Bool) async throws {
        let keys = self.queue.keys
        _ = try await self.queue.redis.evaluate(
            SessionScripts.release,
            keys: [keys.sweeper, keys.lastSweep],
            arguments: [token, isComplete ? "1" : "0"]
        )
    }

    private func sweep(_ token: String) async throws -> SweepReport {
        let start = ContinuousClock.now
        let plain = try self.document(index: nil)
        let index = self.isIndexed ? SessionIndex(self.layout, document: plain, self.queue) : nil
        let scope = try await index?.scope()
        var tally = SweepTally(layout: self.layout.name, isPartial: scope?.isPartial ?? false)
        var events = SessionEvents(
            queue: self.queue,
            token: token,
            lease: self.lease,
            insert: self.layout.event?.insert,
            database: self.database,
            deadline: self.patience.telling,
            logger: self.logger
        )
        var pages = SessionPages(
            layout: self.layout,
            queue: self.queue,
            arguments: [token, self.lease.milliseconds, try index.map { try self.document(index: $0) } ?? plain],
            index: index.flatMap { index in scope.map { (index.key, $0) } }
        )
        // What a sweeper before this one has left.
        try await events.write()
        while !Task.isCancelled, let page = try await pages.next() {
            tally.add(page)
            try await events.noted(page.events)
        }
        if pages.isComplete, let scope, !scope.isPartial { try await index?.complete(since: scope.start) }
        if !Task.isCancelled { try await events.write() }
        var report = tally.report(isComplete: pages.isComplete)
        report.events = try await events.report(dropped: report.events.dropped)
        report.seconds = start.duration(to: .now) / .seconds(1)
        return report
    }

    /// The layout as the scripts read it; the same in every process.
    func document(index: SessionIndex? = nil) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let event = self.database == nil ? nil : self.layout.event
        var document = Document(self.layout, event: event, form: self.tokenForm, most: Self.mostEvents)
        document.index = index.map { Document.Index(key: $0.key, ttl: $0.timeToLive) }
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    /// What the scripts know of a layout; `session_common.lua` calls it `layout`.
    private struct Document: Encodable {
        var kind: String
        var field: [String]?
        /// The last name of the field, with the quote that ends it in JSON.
        var needle: String?
        var before: String
        var after: String
        var unit: Int
        /// In seconds.
        var lifetime: Double
        var service: Service?
        var token: [String]?
        var event: Event?
        var bounds: [Int]
        /// Whether the sessions of a sorted set have keys.
        var hasKeys: Bool
        var index: Index?

        struct Index: Encodable {
            var key: String
            /// In ms.
            var ttl: Int
        }

        struct Service: Encodable {
            var field: [String]
            var needle: String
            var lifetime: Double
        }

        struct Event: Encodable {
            var token: String
            var user: [String]?
            var unless: [String]?
            var most: Int
        }

        private enum CodingKeys: String, CodingKey {
            case kind, field, needle, before, after, unit, lifetime, service, token, event, bounds, index
            case hasKeys = "has_keys"
        }

        init(_ layout: SessionLayout, event: SessionLayout.Event?, form: SessionTokenForm, most: Int) {
            switch layout.time {
            case .json(let field): (self.kind, self.field) = ("json", field)
            case .hash(let field): (self.kind, self.field) = ("hash", [field])
            case .sortedSet: self.kind = "sorted_set"
            case .idle: self.kind = "idle"
            }
            self.needle = self.field.map(Self.needle)
            self.before = layout.before
            self.after = layout.after
            self.unit = layout.isMilliseconds ? 1_000 : 1
            self.lifetime = layout.lifetime / .seconds(1)
            self.service = layout.service.map {
                Service(field: $0.field, needle: Self.needle($0.field), lifetime: $0.lifetime / .seconds(1))
            }
            self.token = layout.token
            self.event = event.map { Event(token: form.rawValue, user: $0.user, unless: $0.unless, most: most) }
            self.bounds = SessionSweep.bounds
            self.hasKeys = true
        }

        private static func needle(_ field: [String]) -> String { (field.last ?? "") + "\"" }
    }
}
