import PostgresClient
import Testing

/// A table of numbered rows that all are expired, some of which cannot be deleted.
enum Items {
    /// Its configuration file; cut by ids, since a block holds many rows.
    static let target = """
        targets:
          Items:
            schema: SCHEMA
            table: items
            key: id
            strategy: id_range
            max_age: {column: created_at, age: 30d}

        """

    /// Attempts that follow one another quickly.
    static let hasty: [String: String?] = ["EBB_BATCHES_BACKOFF": "5ms", "EBB_BATCHES_MAX_BACKOFF": "20ms"]
}

/// `producer dead list --json`, with all its fields and their types.
struct DeadLetterEntry: Decodable, Equatable, Sendable {
    var run: String
    var batch: String
    var target: String
    var range: String
    var attempts: Int
    var sqlstate: String?
    var error: String
    var first_failed_at: String?
    var last_failed_at: String?
}

extension Sandbox {
    /// Creates the table; the rows of `poison` make every DELETE that touches them fail until they are healed.
    func createItems(_ rows: Int, poison: [Int] = []) async throws {
        let schema = self.schema
        try await self.execute(
            "CREATE TABLE \(schema).items (id integer PRIMARY KEY, created_at timestamptz NOT NULL)",
            "INSERT INTO \(schema).items SELECT i, now() - interval '100 days' FROM generate_series(1, \(rows)) AS i",
            "CREATE INDEX ON \(schema).items (created_at)",
            "ANALYZE \(schema).items",
            "CREATE TABLE \(schema).poison (id integer PRIMARY KEY)",
            "INSERT INTO \(schema).poison SELECT unnest('{\(poison.map(String.init).joined(separator: ","))}'::integer[])",
            """
            CREATE FUNCTION \(schema).refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF EXISTS (SELECT FROM \(schema).poison AS p WHERE p.id = OLD.id) THEN RAISE 'row % is poison', OLD.id; END IF;
              RETURN OLD;
            END $$
            """,
            "CREATE TRIGGER refuse BEFORE DELETE ON \(schema).items FOR EACH ROW EXECUTE FUNCTION \(schema).refuse()"
        )
    }

    /// Lets the rows be deleted again.
    func heal() async throws { try await self.execute("DELETE FROM \(self.schema).poison") }

    /// The rows that are left.
    func items() async throws -> [Int] {
        try await self.postgres.query("SELECT id FROM \(self.schema).items ORDER BY id").rows.compactMap { $0.int(0) }
    }

    /// What `producer dead list` says, with further arguments.
    func deadLetters(_ arguments: String...) async throws -> [DeadLetterEntry] {
        try await self.run(.producer, ["dead", "list", "--json"] + arguments).json([DeadLetterEntry].self)
    }
}
