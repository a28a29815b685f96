package import FoundationEssentials
package import PostgresClient

/// A run of objects together with what this process knows of its target and its store.
package struct ObjectContext: Sendable {
    package let record: RunRecord
    package let target: ObjectTarget
    package let store: ObjectStore
    package let references: ReferenceLookup
    /// An object that was written at this moment or later stays.
    package let cutoff: Date
    /// The same for leftovers, and for uploads in parts; nil where they are left alone.
    package let leftoversCutoff: Date?
    package let uploadsCutoff: Date?

    package var marks: Ledger.Marks { Ledger.Marks(target: self.record.target, location: self.record.table) }

    /// Those of some keys that something refers to at this moment; of leftovers nothing ever does.
    ///
    /// - Throws: as `ReferenceLookup.referenced`.
    package func referenced(
        among keys: some Sequence<String>,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> Set<String> {
        let isKey = self.target.keys.matcher()
        let referable = keys.filter { self.target.kind(of: $0, isKey) == .referable }
        return try await self.references.referenced(among: referable, limits: limits, connection)
    }

    /// Those of some deleted objects that something refers to now, which is somebody's loss.
    ///
    /// An object that is there again was written anew before its reference, and is nobody's loss.
    ///
    /// - Throws: as ``referenced(among:limits:_:)``, and `StorageError`.
    package func lost(
        among deleted: Set<String>,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> Set<String> {
        let referenced = try await self.referenced(among: deleted, limits: limits, connection)
        return referenced.subtracting(try await self.store.present(among: referenced))
    }

    /// Reads a run from the ledger and matches it with the catalogue, the store and the tables that refer to it.
    ///
    /// - Throws: `RunContext.Obstacle`, `PlanningError`, `PostgresError`.
    package static func load(
        _ run: String,
        catalog: Catalog,
        stores: Stores,
        ledger: Ledger,
        _ connection: PostgresConnection
    ) async throws -> ObjectContext {
        guard let record = try await ledger.run(run, connection) else { throw RunContext.Obstacle.unknownRun(run) }
        guard record.isOnItsServer else { throw RunContext.Obstacle.otherServer(run: run) }
        guard let target = catalog.objects(of: record.target), target.definitionHash == record.definitionHash,
            let cutoff = record.cutoff.flatMap(Moment.date), let minAge = record.knobs.maxAge
        else { throw RunContext.Obstacle.otherDefinition(run: run, target: record.target) }
        let store = try self.store(of: record, target, stores)
        // The run's moment of creation by the storage's clock.
        let created = cutoff.addingTimeInterval(minAge / .seconds(1))
        return ObjectContext(
            record: record,
            target: target,
            store: store,
            references: try await ReferenceLookup.resolve(target, schema: record.schema, connection),
            cutoff: cutoff,
            leftoversCutoff: target.leftovers.map { created.addingTimeInterval(-($0.age / .seconds(1))) },
            uploadsCutoff: target.multipart.map { created.addingTimeInterval(-($0 / .seconds(1))) }
        )
    }

    private static func store(of record: RunRecord, _ target: ObjectTarget, _ stores: Stores) throws -> ObjectStore {
        func other(_ problem: String) -> RunContext.Obstacle {
            .otherStore(run: record.run, location: record.table, problem: problem)
        }
        switch try stores.store(named: target.store) {
        case .off(let reason): throw other("has no such store, since \(reason)")
        case .on(let store):
            let location = store.configuration.location
            guard location == record.table else { throw other("has the store \(target.store) at \(location)") }
            return store
        }
    }
}

/// The stores of a configuration, ready for use.
package struct Stores: Sendable {
    let definitions: [StoreDefinition]
    let environment: Environment
    let limits: EbbConfiguration.Storage

    /// Whether a store can be used.
    package enum Switch: Sendable {
        case on(ObjectStore)
        /// The reason names what is missing.
        case off(reason: String)
    }

    /// Where files of rows are.
    package enum Destination: Sendable {
        case bucket(ObjectStore)
        case folder(FolderStore)
        /// The reason names what is missing.
        case off(reason: String)

        /// Where it is, whatever it is called here; nil when it is off.
        package var location: String? {
            switch self {
            case .bucket(let store): store.configuration.location
            case .folder(let store): store.root
            case .off: nil
            }
        }
    }

    /// - Throws: `ConfigurationError` for a value that cannot be used.
    package func destination(named name: String) throws(ConfigurationError) -> Destination {
        let definition = try self.definition(name)
        guard definition.isFolder else {
            return switch try self.store(named: name) {
            case .on(let store): .bucket(store)
            case .off(let reason): .off(reason: reason)
            }
        }
        return switch try definition.resolveFolder(self.environment) {
        case .on(let store): .folder(store)
        case .off(let reason): .off(reason: reason)
        }
    }

    private func definition(_ name: String) throws(ConfigurationError) -> StoreDefinition {
        guard let definition = self.definitions.first(where: { $0.name == name }) else {
            throw ConfigurationError("there is no store \(name)")
        }
        return definition
    }

    /// The same for a store that has to be a bucket.
    ///
    /// - Throws: `ConfigurationError` for a value that cannot be used.
    package func store(named name: String) throws(ConfigurationError) -> Switch {
        let definition = try self.definition(name)
        return switch try definition.resolve(self.environment) {
        case .off(let reason): .off(reason: reason)
        case .on(let configuration): .on(ObjectStore(configuration, limits: self.limits))
        }
    }
}
