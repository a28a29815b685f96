import CLibPQ
import ThreadExecutor

/// One session with a PostgreSQL server, on a thread of its own.
///
/// Everything that touches libpq is synchronous and runs on that thread, so two calls never interleave. Reach it through
/// the `async` methods (``query(_:_:deadline:)``, ``pipeline(_:deadline:)``, ``transaction(isolation:readOnly:_:)``), which
/// obey task cancellation; each costs one hop to the thread and back, so prefer few, large calls.
package actor PostgresConnection {
    /// Waits are ended through this one; see ``Interruption``.
    nonisolated let wakeup: Wakeup
    let configuration: PostgresConfiguration
    var handle = ConnectionHandle()
    /// The `async` call that is running now; nil while a caller uses the synchronous methods directly.
    var interruption: Interruption?

    /// The server's version as a number, for example 150018 for 15.18; of the pooler, if one stands between.
    package private(set) var serverVersion = 0
    /// The server process of this session, as in `pg_stat_activity`; a pooler makes one up.
    package private(set) var backendPID = 0

    private let executor: ThreadExecutor

    package nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    init(configuration: PostgresConfiguration) throws(PostgresError) {
        self.wakeup = try Wakeup()
        self.configuration = configuration
        self.executor = ThreadExecutor(name: "pg-\(configuration.applicationName)")
    }

    /// Whether the next statement may be sent.
    ///
    /// False after a loss, a passed deadline or ``close()``. A server that went away while the session was idle shows
    /// only when the next statement fails.
    package var isUsable: Bool { self.handle.pointer != nil && PQstatus(self.handle.pointer) == CONNECTION_OK }

    /// Ends the session; the server rolls back what is open.
    ///
    /// May be called more than once.
    package func close() { self.handle.close() }

    /// Notes what the server told about itself while connecting.
    func recordSession(of pointer: OpaquePointer) {
        self.serverVersion = Int(PQserverVersion(pointer))
        self.backendPID = Int(PQbackendPID(pointer))
    }
}
