package import PostgresClient

/// The runs that this process is at, so that not every batch and step asks the ledger and the catalogs of PostgreSQL again. A run's
/// terms never change, its table seldom does: what is a minute old is read anew.
package actor RunContexts {
    private let catalog: Catalog
    private let ledger: Ledger
    private let stores: Stores
    private var knownObjects: [String: (context: ObjectContext, read: ContinuousClock.Instant)] = [:]
    /// How often something was forgotten: what was being read meanwhile is not kept.
    private var forgotten = 0
    private var known: [String: (context: RunContext, read: ContinuousClock.Instant)] = [:]
    /// By the run that somebody is reading: who waits for that, so that all the slots of a worker do not read the same at once.
    private var waiting: [String: [AsyncStream<Never>.Continuation]] = [:]

    /// A worker is at a handful of runs; beyond this it starts over.
    private static let most = 64
    private static let age = Duration.seconds(60)
    /// Many times what reading takes.
    private static let longestWait = Duration.seconds(1)

    package init(catalog: Catalog, ledger: Ledger, stores: Stores) {
        self.catalog = catalog
        self.ledger = ledger
        self.stores = stores
    }

    /// The context of a run.
    ///
    /// - Throws: what `RunContext.load` throws.
    package func context(_ run: String, _ connection: PostgresConnection) async throws -> RunContext {
        if let context = self.recent(run) { return context }
        if self.waiting[run] != nil {
            try await self.waitForReader(of: run)
            if let context = self.recent(run) { return context }
        }
        // Whoever has waited in vain reads beside others that have: one after the other, a lock would hold them up each in turn.
        let isFirst = self.waiting[run] == nil
        if isFirst { self.waiting[run] = [] }
        defer {
            if isFirst { for waiter in self.waiting.removeValue(forKey: run) ?? [] { waiter.finish() } }
        }
        let before = self.forgotten
        let context = try await RunContext.load(
            run,
            catalog: self.catalog,
            ledger: self.ledger,
            connection
        )
        if self.forgotten == before { self.keep(context) }
        return context
    }

    /// The context of a run whose record was read just now, so that it is known not to be on another server.
    ///
    /// - Throws: what `RunContext.load` throws.
    func context(of record: RunRecord, _ connection: PostgresConnection) async throws -> RunContext {
        guard record.isOnItsServer else { throw RunContext.Obstacle.otherServer(run: record.run) }
        if let context = self.recent(record.run), context.record.definitionHash == record.definitionHash {
            return context
        }
        let before = self.forgotten
        let context = try await RunContext.load(record, catalog: self.catalog, ledger: self.ledger, connection)
        if self.forgotten == before { self.keep(context) }
        return context
    }

    /// Until whoever reads a run's context has ended, or has taken so long that his connection may be the trouble.
    private func waitForReader(of run: String) async throws {
        let (end, waiter) = AsyncStream<Never>.makeStream()
        self.waiting[run]?.append(waiter)
        do { try await withTimeLimit(Self.longestWait) { for await _ in end {} } } catch is TimeLimitExceeded {
            // Whoever waited reads by himself then.
        }
        try Task.checkCancellation()
    }

    private func recent(_ run: String) -> RunContext? {
        guard let (context, read) = self.known[run], read + Self.age > .now else { return nil }
        return context
    }

    /// Takes in what was read elsewhere just now.
    func keep(_ context: RunContext) {
        if self.known.count >= Self.most { self.known.removeAll() }
        self.known[context.record.run] = (context, .now)
    }

    /// The same as `context` for a run of objects.
    ///
    /// - Throws: what `ObjectContext.load` throws.
    package func objects(_ run: String, _ connection: PostgresConnection) async throws -> ObjectContext {
        if let (context, read) = self.knownObjects[run], read + Self.age > .now { return context }
        let before = self.forgotten
        let context = try await ObjectContext.load(
            run,
            catalog: self.catalog,
            stores: self.stores,
            ledger: self.ledger,
            connection
        )
        if self.forgotten == before {
            if self.knownObjects.count >= Self.most { self.knownObjects.removeAll() }
            self.knownObjects[run] = (context, .now)
        }
        return context
    }

    /// Lets a run's context be read anew, since its table may be changed by the time it goes on.
    package func forget(_ run: String) {
        self.forgotten += 1
        self.known[run] = nil
        self.knownObjects[run] = nil
    }
}
