import PostgresClient
import Shared

/// The runs that this worker is at, so that not every batch asks the ledger and the catalogs of PostgreSQL again. A run's
/// terms never change, its table seldom does: what is a minute old is read anew.
actor RunContexts {
    private let catalog: Catalog
    private let ledger: Ledger
    private let stores: Stores
    private var knownObjects: [String: (context: ObjectContext, read: ContinuousClock.Instant)] = [:]
    private var known: [String: (context: RunContext, read: ContinuousClock.Instant)] = [:]

    /// A worker is at a handful of runs; beyond this it starts over.
    private static let most = 64
    private static let age = Duration.seconds(60)

    init(catalog: Catalog, ledger: Ledger, stores: Stores) {
        self.catalog = catalog
        self.ledger = ledger
        self.stores = stores
    }

    /// - Throws: what `RunContext.load` throws.
    func context(_ run: String, _ connection: PostgresConnection) async throws -> RunContext {
        if let (context, read) = self.known[run], read + Self.age > .now { return context }
        let context = try await RunContext.load(
            run,
            catalog: self.catalog,
            ledger: self.ledger,
            connection
        )
        if self.known.count >= Self.most { self.known.removeAll() }
        self.known[run] = (context, .now)
        return context
    }

    /// The same for a run of objects.
    ///
    /// - Throws: what `ObjectContext.load` throws.
    func objects(_ run: String, _ connection: PostgresConnection) async throws -> ObjectContext {
        if let (context, read) = self.knownObjects[run], read + Self.age > .now { return context }
        let context = try await ObjectContext.load(
            run,
            catalog: self.catalog,
            stores: self.stores,
            ledger: self.ledger,
            connection
        )
        if self.knownObjects.count >= Self.most { self.knownObjects.removeAll() }
        self.knownObjects[run] = (context, .now)
        return context
    }

    /// Lets a run's context be read anew, since its table may be changed by the time it goes on.
    func forget(_ run: String) {
        self.known[run] = nil
        self.knownObjects[run] = nil
    }
}
