package import Logging
package import PostgresClient
import RedisClient

/// What every command is made of: configuration, catalogue, ledger and queue.
///
/// Making it opens no connection.
package struct Services: Sendable {
    package let environment: Environment
    package let configuration: EbbConfiguration
    package let catalog: Catalog
    package let ledger: Ledger
    package var logger: Logger
    /// For all connections that are made from now on.
    package var patience = Patience()

    /// - Throws: `ConfigurationError`.
    package init(environment: Environment, label: String) throws(ConfigurationError) {
        self.environment = environment
        self.configuration = try EbbConfiguration.load(environment: environment)
        self.catalog = try Catalog.load(self.configuration)
        // Read again whenever it counts; a wrong one is to be refused before anything is done.
        for group in self.catalog.schemaGroups { _ = try group.skips(environment) }
        self.ledger = Ledger(namespace: self.configuration.namespace)
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = self.configuration.log.level
        self.logger = logger
    }

    /// Connects to the database that is cleaned.
    ///
    /// - Throws: `ConfigurationError` without a URL; `PostgresError`.
    package func connectPostgres(as name: String) async throws -> PostgresConnection {
        try await PostgresConnection.connect(self.postgresConfiguration(as: name))
    }

    /// - Throws: `ConfigurationError` without a URL; `PostgresError` for one that cannot be understood.
    package func postgresConfiguration(as name: String) throws -> PostgresConfiguration {
        try PostgresConfiguration(
            url: try self.configuration.requireDatabaseURL(),
            applicationName: name,
            connectTimeout: self.patience.connecting,
            patience: TransactionSettings.TimeLimits.longestStatement
        )
    }

    /// The queue; connects when it is first used.
    ///
    /// - Throws: `ConfigurationError` without a URL; `RedisError` for one that cannot be understood.
    package func queue() throws -> Queue {
        let url = try self.configuration.requireRedisURL()
        let redis = RedisClient(configuration: try RedisConfiguration(url: url, commandTimeout: self.patience.redis))
        return Queue(
            redis: redis,
            namespace: self.configuration.namespace,
            mostEvents: self.configuration.events.most
        )
    }

    /// All schedules, with their values from the environment; read by those who need them, since a worker must not end for a
    /// wrong one.
    ///
    /// - Throws: `ConfigurationError`.
    package func schedules() throws(ConfigurationError) -> [ScheduleEntry] {
        try ScheduleEntry.load(self.configuration, catalog: self.catalog, environment: self.environment)
    }

    /// The stores that targets of objects refer to.
    package var stores: Stores {
        Stores(
            definitions: self.catalog.stores,
            environment: self.environment,
            limits: self.configuration.storage
        )
    }

    /// A memory for whoever works on runs.
    package func runContexts() -> RunContexts {
        RunContexts(catalog: self.catalog, ledger: self.ledger, stores: self.stores)
    }

    /// Whether a target can run, and with which knobs.
    ///
    /// - `maxAge`, `keep`: of the command line, in place of the target's own.
    package func resolve(
        _ entry: CatalogEntry,
        maxAge: Duration? = nil,
        keep: Int? = nil
    ) throws(ConfigurationError) -> TargetSwitch {
        try entry.resolveKnobs(
            environment: self.environment,
            stores: self.stores,
            maxAge: maxAge,
            keep: keep,
            keepNothing: self.configuration.keepNothing
        )
    }

    /// Changes runs as operators wish.
    package func runControl(_ queue: Queue) -> RunControl {
        RunControl(ledger: self.ledger, queue: queue, configuration: self.configuration)
    }

    /// The sweeper of sessions; nil when it is off.
    ///
    /// - Throws: `ConfigurationError` for a layout that cannot be understood, or without a Redis URL; `RedisError`,
    ///   `PostgresError` for URLs that cannot be understood.
    package func sessionSweep(_ queue: Queue) throws -> SessionSweep? {
        let settings = self.configuration.sessions
        let parser = SessionLayoutParser(environment: self.environment)
        let layout: SessionLayout?
        if settings.preset == SessionPreset.own {
            layout = .own(queue.keys)
        } else if let preset = SessionPreset(rawValue: settings.preset) {
            layout = try parser.preset(preset)
        } else {
            layout = try parser.layout(of: self.configuration.file)
        }
        guard let layout else { return nil }
        if settings.index && !SessionIndex.serves(layout) {
            throw ConfigurationError(
                "EBB_SESSIONS_INDEX (sessions.index) is on, and sessions.last_used with a lifetime is not how sessions of "
                    + "\(layout.name) end; accepted: off"
            )
        }
        let tells = layout.event != nil && settings.events && self.configuration.databaseURL != nil
        return SessionSweep(
            layout: layout,
            queue: queue,
            lease: self.configuration.leases.duration,
            tokenForm: SessionTokenForm(rawValue: settings.eventToken) ?? .prefix,
            database: tells ? ConnectionPool(try self.postgresConfiguration(as: "ebb sweeper")) : nil,
            isIndexed: settings.index,
            patience: self.patience,
            logger: self.logger
        )
    }

    /// Why there is no sweeper.
    ///
    /// - Throws: `ConfigurationError`.
    package func whyNoSweep() throws(ConfigurationError) -> String {
        "EBB_SESSIONS is \(try self.environment.value("EBB_SESSIONS") ?? "not set")"
    }

    /// Creates runs.
    ///
    /// - `contexts`: where whoever does the run's steps finds what was read for it.
    /// - `warn`: told what an operator should look into, one sentence each.
    package func runStarter(
        _ queue: Queue,
        _ contexts: RunContexts? = nil,
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) -> RunStarter {
        RunStarter(
            ledger: self.ledger,
            queue: queue,
            configuration: self.configuration,
            contexts: contexts,
            warn: warn
        )
    }

    /// Runs steps of any run.
    ///
    /// - `contexts`: what is known of runs already.
    package func stepRunner(_ queue: Queue, _ contexts: RunContexts? = nil) -> StepRunner {
        StepRunner(
            ledger: self.ledger,
            queue: queue,
            catalog: self.catalog,
            stores: self.stores,
            contexts: contexts ?? self.runContexts(),
            configuration: self.configuration,
            logger: self.logger
        )
    }
}

extension Services: CustomStringConvertible, CustomReflectable {
    /// Nothing: a library that describes what it is given at debug level must not log passwords.
    package var description: String { "Services" }

    package var customMirror: Mirror { Mirror(self, children: []) }
}
