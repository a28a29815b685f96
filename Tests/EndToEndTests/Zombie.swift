import Foundation
import PostgresClient
import RedisClient
import Testing

/// A worker that freezes with a batch in its hands, is taken for dead, and comes back.
struct Zombie: Sendable {
    let sandbox: Sandbox
    /// The batch of its run, the only one.
    let run: String
    let worker: Running
    /// A session that holds what the worker's batch waits for.
    fileprivate let holder: PostgresConnection

    /// Where it freezes.
    enum Place: Sendable {
        /// It has the batch, and PostgreSQL has not heard of it.
        case beforeItsTransaction
        /// In its DELETE: its ledger row is written and not committed.
        case inItsTransaction
    }

    /// Limits that let it come back: by its own clock its lease lasts, and no timeout of the server ends its session.
    private static let patient: [String: String?] = [
        "EBB_LEASES_DURATION": "300s", "EBB_BATCHES_STATEMENT_TIMEOUT": "100s", "EBB_BATCHES_IDLE_TIMEOUT": "100s",
        "EBB_BATCHES_LOCK_TIMEOUT": "90s", "EBB_WORKER_GRACE": "60s",
    ]

    /// Lets it live again, do what it has to, and stop.
    func comeBack() async throws {
        self.worker.send(SIGCONT)
        // A stopping worker lets its batch end.
        self.worker.send(SIGTERM)
        try await until("the zombie has done what it had to") { !self.worker.isAlive }
    }

    /// Lets its statement go on, which the server runs whether its worker is frozen or not.
    func letStatementGoOn() async throws { _ = try await self.holder.query("ROLLBACK") }

    /// Runs a test with a run of one batch, which a worker that is frozen there holds.
    ///
    /// - `body`: lets it come back.
    static func with(_ place: Place, _ body: @escaping @Sendable (Zombie) async throws -> Void) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(2_000)
            try await sandbox.execute(
                """
                CREATE FUNCTION \(sandbox.schema).hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF current_setting('ebb.zombie', true) = 'on' THEN LOCK TABLE \(sandbox.schema).held IN SHARE MODE; END IF;
                  RETURN NULL;
                END $$
                """,
                "CREATE TABLE \(sandbox.schema).held ()",
                """
                CREATE TRIGGER hold BEFORE DELETE ON \(sandbox.schema).events
                FOR EACH STATEMENT EXECUTE FUNCTION \(sandbox.schema).hold()
                """
            )
            let run = try await sandbox.enqueue(batchRows: 1_000_000)
            #expect(try await sandbox.field("total", of: run) == 1)
            try await sandbox.execute(
                "CREATE SEQUENCE \(sandbox.schema).tries",
                """
                CREATE FUNCTION \(sandbox.schema).count() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN PERFORM nextval('\(sandbox.schema).tries'); RETURN NEW; END $$
                """,
                """
                CREATE TRIGGER count BEFORE INSERT ON \(sandbox.namespace).batch
                FOR EACH ROW WHEN (current_setting('ebb.zombie', true) = 'on')
                EXECUTE FUNCTION \(sandbox.schema).count()
                """
            )
            let holder = try await Servers.connect()
            let table = place == .inItsTransaction ? "\(sandbox.schema).held" : "\(sandbox.namespace).run"
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE")
            var environment = Self.patient
            environment["DATABASE_URL"] = try Servers.databaseURL(adding: "options=-c%20ebb.zombie%3Don")
            let (_, outcome) = try await sandbox.during(.worker, ["--concurrency", "1"], environment: environment) {
                worker in
                try await until("its batch is held") {
                    try await sandbox.number(
                        """
                        SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '\(table)'::regclass
                        """
                    ) == 1
                }
                worker.send(SIGSTOP)
                do {
                    if place == .beforeItsTransaction { _ = try await holder.query("ROLLBACK") }
                    try await body(Zombie(sandbox: sandbox, run: run, worker: worker, holder: holder))
                } catch {
                    worker.send(SIGKILL)
                    throw error
                }
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            await holder.close()
        }
    }

    /// How the batch ended by the ledger; nil when it has not.
    func outcome() async throws -> String? {
        try await self.sandbox.value(
            "SELECT outcome FROM \(self.sandbox.namespace).batch WHERE run = '\(self.run)' AND batch = '1.1'"
        )
    }

    /// Whether it has tried to write the batch's row in the ledger; a sequence keeps that when all else is rolled back.
    func hasTried() async throws -> Bool {
        try await self.sandbox.value("SELECT is_called FROM \(self.sandbox.schema).tries") == "t"
    }

    /// The rows that the run has deleted by the ledger.
    func rows() async throws -> Int { try await self.sandbox.ledgerSum(of: self.run) }
}
