import Foundation
import PostgresClient
import Shared
import TestSupport

@testable import Worker

/// Rows with files, in a folder or in a bucket, and activities that list them.
struct FileSite: Sendable {
    let bed: TestBed
    /// The store's folder, in a folder of the test's own.
    let root: String
    let bucket: TestBucket?

    enum Kind: String, Sendable, CaseIterable {
        case folder
        case bucket
    }

    /// A file's size.
    static let size = 7

    private static let update = """
        UPDATE {schema}.activities AS a SET data = jsonb_set(data, '{files}', (
          SELECT coalesce(jsonb_agg(f) FILTER (WHERE f ->> 'id' <> ALL ({keys})), '[]') FROM jsonb_array_elements(data -> 'files') AS f))
        WHERE EXISTS (SELECT FROM jsonb_array_elements(data -> 'files') AS f WHERE f ->> 'id' = ANY ({keys}))
        """

    /// Lends a site without any rows.
    ///
    /// - `retries`: how often a batch is tried.
    static func with<Result>(
        _ kind: Kind = .folder,
        retries: Int = 2,
        _ body: (FileSite) async throws -> Result
    ) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "ebb-files-" + String(UInt64.random(in: .min ... .max), radix: 36)
        )
        let root = folder.appending(path: "store").path()
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let bucket: TestBucket? = if kind == .bucket { try await TestBucket.create() } else { nil }
        let unlink = kind == .folder ? "{store: files, path: path}" : "{store: blobs, path: path, size: size}"
        let target = """
              Target:
                table: files
                key: id
                max_age: {column: created_at, age: 1d}
                after:
                  update: "\(Self.update.replacing("\n", with: " "))"
                  unlink: \(unlink)
            """
        let stores = bucket?.settings() ?? "stores: {files: {folder: \(root)}}"
        let batches = Unhurried.settings("attempts: \(retries), backoff: 5ms, max_backoff: 20ms")
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(
                try await withTestBed(
                    targets: target,
                    settings: "\(stores)\n\(batches)\nvacuum: off\n",
                    variables: TestBucket.variables
                ) { bed in
                    try await bed.run(
                        """
                        CREATE TABLE files (id bigint PRIMARY KEY, path text, size bigint DEFAULT \(Self.size),
                          created_at timestamptz DEFAULT now() - interval '2 days')
                        """,
                        "CREATE TABLE activities (id bigint PRIMARY KEY, data jsonb NOT NULL)"
                    )
                    return try await body(FileSite(bed: bed, root: root, bucket: bucket))
                }
            )
        } catch { result = .failure(error) }
        try FileManager.default.removeItem(at: folder)
        return try result.get()
    }

    static func path(_ number: Int) -> String { "project/\(number % 10)/file-\(number)" }

    /// Adds expired rows, their files, and an activity for each two of them.
    func fill(_ numbers: ClosedRange<Int>) async throws {
        for number in numbers {
            try await self.bed.run("INSERT INTO files (id, path) VALUES (\(number), '\(Self.path(number))')")
            try await self.put(Self.path(number))
        }
        try await self.bed.run(
            """
            INSERT INTO activities SELECT n / 2, jsonb_build_object('said', n / 2, 'files', jsonb_agg(jsonb_build_object('id', n::text)))
            FROM generate_series(\(numbers.lowerBound), \(numbers.upperBound)) AS n GROUP BY n / 2
            """
        )
    }

    func put(_ path: String) async throws {
        if let bucket { return try await bucket.seed([.init(path, size: Self.size)]) }
        let file = URL(filePath: "\(self.root)/\(path)")
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(repeating: 120, count: Self.size).write(to: file)
    }

    func remove(_ path: String) async throws {
        if let bucket { return try await bucket.remove(path) }
        try FileManager.default.removeItem(atPath: "\(self.root)/\(path)")
    }

    /// What the store holds, in order.
    func files() async throws -> [String] {
        if let bucket { return try await bucket.state().keys.sorted() }
        let names = FileManager.default.enumerator(atPath: self.root)?.compactMap { $0 as? String } ?? []
        return names.filter { name in
            let kind = (try? FileManager.default.attributesOfItem(atPath: "\(self.root)/\(name)"))?[.type]
            return kind as? FileAttributeType != .typeDirectory
        }.sorted()
    }

    func rows() async throws -> [Int] {
        try await self.bed.strings("SELECT id::text FROM files ORDER BY files.id").compactMap { Int($0) }
    }

    /// The ids of files that activities list.
    func listed() async throws -> [Int] {
        try await self.bed.strings("SELECT f ->> 'id' FROM activities, jsonb_array_elements(data -> 'files') AS f")
            .compactMap { Int($0) }.sorted()
    }

    /// What the ledger says of a run's files: those removed, those that were gone before, and lists that nobody has confirmed.
    func confirmed(_ run: String) async throws -> [Int] {
        try await self.bed.connection.query(
            """
            SELECT coalesce(sum(deleted), 0), coalesce(sum(missing), 0), count(*) FILTER (WHERE deleted IS NULL)
            FROM \(self.bed.ledger.table("file_list")) WHERE run = $1
            """,
            [run]
        ).rows.flatMap { row in (0..<3).map { row.int($0) ?? -1 } }
    }

    func bytes(of run: String) async throws -> Int {
        try await self.bed.int("SELECT coalesce(bytes, 0) FROM \(self.bed.ledger.table("run")) WHERE run = $1", [run])
    }

    /// Where an attempt is interrupted after its commit.
    enum Crash: String, Sendable, CaseIterable {
        /// Before the first file goes.
        case sizes
        /// After the last one went.
        case deleted
    }

    /// Makes every attempt end at a point, as if its process were killed there: nothing after it happens.
    func crash(_ crash: Crash) async throws {
        let table = self.bed.ledger.table("file_list")
        try await self.bed.run(
            "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'crashed'; END$$",
            "CREATE TRIGGER crash BEFORE UPDATE OF \(crash.rawValue) ON \(table) FOR EACH ROW EXECUTE FUNCTION crash()"
        )
    }

    func mend() async throws {
        try await self.bed.run("DROP TRIGGER crash ON \(self.bed.ledger.table("file_list"))", "DROP FUNCTION crash()")
    }

    /// Plans a run and takes its only batch.
    func lease() async throws -> (run: RunRecord, lease: Lease, context: RunContext) {
        let record = try await self.bed.start(batchRows: 10_000)
        try await self.bed.step(record.run)
        let work = try await self.bed.queue.poll(
            Queue.Poll(consumer: "test", lease: .seconds(15), slots: 2, reclaim: nil)
        )
        guard let lease = work.leases.first, work.leases.count == 1 else { throw UnexpectedState("\(work.leases)") }
        let context = try await RunContext.load(
            record.run,
            catalog: self.bed.services.catalog,
            ledger: self.bed.ledger,
            self.bed.connection
        )
        return (record, lease, context)
    }
}
