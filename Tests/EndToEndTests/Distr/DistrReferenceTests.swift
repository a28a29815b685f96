import Testing

/// The four keys by which Distr's notifications refer to statuses and metrics; Distr has no index for them.
@Suite(.timeLimit(.minutes(5))) struct `Distr's notifications` {
    /// A target whose rows notifications refer to.
    struct Case: Sendable, CustomTestStringConvertible {
        var target: String
        var table: String
        var oracle: [UInt8]
        /// The columns of `notificationrecord` that refer to it.
        var columns: [String]
        /// Searching all notifications for each of its rows makes a run about four times as much longer as
        /// `foreign_keys.most` allows by default: a good half of the rows go, and each costs some 0.12 microseconds a
        /// notification for each key that has no index at all.
        var many: DistrSeed
        var few: DistrSeed

        var testDescription: String { self.target }

        /// What creates the indexes that its keys lack, in alphabetical order.
        var statements: [String] { self.columns.map(Self.statement).sorted() }

        static func statement(_ column: String) -> String {
            #"CREATE INDEX CONCURRENTLY ON "public"."notificationrecord" ("\#(column)");"#
        }

        static func constraint(_ column: String) -> String { "notificationrecord_\(column)_fkey" }

        /// An index of Distr's has the first of its keys further back, and is searched instead of the table.
        static let statuses = Case(
            target: "DeploymentRevisionStatus",
            table: "deploymentrevisionstatus",
            oracle: PackageResources.distr_oracle_statuses_sql,
            columns: ["previous_deployment_revision_status_id", "current_deployment_revision_status_id"],
            many: DistrSeed(organizations: 20, statuses: 60_000, notifications: 60_000),
            few: DistrSeed(organizations: 10, statuses: 20_000, notifications: 500)
        )
        static let metrics = Case(
            target: "DeploymentTargetMetrics",
            table: "deploymenttargetmetrics",
            oracle: PackageResources.distr_oracle_metrics_sql,
            columns: ["previous_deployment_target_metrics_id", "current_deployment_target_metrics_id"],
            many: DistrSeed(organizations: 20, metrics: 45_000, disks: 45_000, notifications: 40_000),
            few: DistrSeed(organizations: 10, metrics: 20_000, disks: 30_000, notifications: 500)
        )
        static let all = [Case.statuses, Case.metrics]
    }

    @Test(arguments: Case.all)
    func `keep a run from starting until the statements that it prints were run`(_ test: Case) async throws {
        try await withDistr(test.many, indexed: false) { distr in
            try await distr.predict([test.oracle])
            let before = try await distr.distrTables()
            let lost = Self.lost(before, try await distr.tables(of: "survivors"))
            let printed = try await Self.refusal(test, distr)
            try await Self.expectPlan(test, lost, distr)
            try await Self.expectProblems(test, distr)
            #expect(try await distr.leftTraces() == [])
            #expect(try await distr.distrTables() == before)

            for statement in printed { try await distr.execute(statement) }
            let findings = try await Self.keys(distr).filter { $0.target == test.target }
            #expect(findings.map(\.level) == ["ok"], "\(findings)")
            let status = try await distr.clean(test.target)
            try await distr.expectPrediction()
            #expect(status.state == "finished")
            #expect(status.rows.deleted == lost[test.table])
            #expect(status.rows.cascaded == lost.values.reduce(0, +) - status.rows.deleted, "\(lost)")
            #expect(status.batches.dead == 0)
            try await distr.expectQueueAtRest()
        }
    }

    @Test(arguments: Case.all)
    func `keep the rows that they refer to where these are protected`(_ test: Case) async throws {
        let changes = "targets:\n  \(test.target): {protect: [notificationrecord]}\n"
        try await withDistr(test.few, changes: changes) { distr in
            try await distr.predict([test.oracle])
            let kept = "survivors.\(test.table)"
            let without = try await distr.number("SELECT count(*) FROM \(kept)")
            let references = test.columns.map { "SELECT \($0) FROM notificationrecord" }
            try await distr.execute(
                """
                INSERT INTO \(kept) SELECT * FROM \(test.table) AS t
                WHERE t.id NOT IN (SELECT id FROM \(kept)) AND t.id IN (\(references.joined(separator: " UNION ")))
                """,
                "DROP TABLE survivors.notificationrecord, survivors.deploymenttargetdiskmetrics",
                "CREATE TABLE survivors.notificationrecord AS TABLE notificationrecord",
                """
                CREATE TABLE survivors.deploymenttargetdiskmetrics AS SELECT * FROM deploymenttargetdiskmetrics
                WHERE deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics)
                """
            )
            #expect(try await distr.number("SELECT count(*) FROM \(kept)") > without, "nothing is protected")
            let before = try await distr.distrTables()
            let status = try await distr.clean(test.target)
            try await distr.expectPrediction()
            let lost = Self.lost(before, try await distr.distrTables())
            #expect(status.rows.deleted > 1_000)
            #expect(status.rows.deleted == lost[test.table])
            #expect(status.rows.cascaded == (lost["deploymenttargetdiskmetrics"] ?? 0), "\(lost)")
            #expect((status.rows.cascaded > 0) == (test.few.disks > 0))
        }
    }

    /// How many rows fewer there are of each table that has lost any.
    private static func lost(_ before: [String: Int], _ after: [String: Int]) -> [String: Int] {
        before.merging(after) { $0 - $1 }.filter { $0.value != 0 }
    }

    private static func statements(in text: String) -> [String] {
        text.matches(of: /CREATE INDEX[^;]*;/).map { String($0.output) }
    }

    /// Expects that `enqueue` and `cleanup` refuse, and returns the statements that they ask for.
    ///
    /// To `cleanup`, which goes on with other targets, it is a target that failed.
    private static func refusal(_ test: Case, _ distr: Sandbox) async throws -> [String] {
        let enqueue = try await distr.producer("enqueue", test.target)
        #expect(enqueue.status == .exited(2))
        #expect(enqueue.output == "")
        #expect(enqueue.complaints.count == 1, "\(enqueue.errors)")
        let printed = Self.statements(in: enqueue.errors)
        #expect(printed.sorted() == test.statements, "\(enqueue.errors)")

        let cleanup = try await distr.producer("cleanup", test.target, "--workers", "0")
        #expect(cleanup.status == .exited(1))
        #expect(cleanup.output.hasPrefix("\(test.target): failed: "), "\(cleanup.output)")
        #expect(Self.statements(in: cleanup.output).sorted() == test.statements, "\(cleanup.output)")
        return printed
    }

    private struct Plan: Decodable {
        struct Key: Decodable {
            var constraint: String
            var indexed: Bool
            var seconds: Double
            var create_index: String?
        }

        struct Cascade: Decodable {
            var table: String
            var rows: Int
            var counted: Bool
        }

        var counted_rows: Int?
        var foreign_keys: [Key]
        var foreign_keys_seconds: Double
        var cascade: [Cascade]
        var warnings: [String]
    }

    /// - `lost`: rows that a run would take, of each table that loses any.
    private static func expectPlan(_ test: Case, _ lost: [String: Int], _ distr: Sandbox) async throws {
        let counting = try await distr.producer("plan", test.target, "--count", "--json")
        #expect(counting.status == .exited(0), "\(counting.errors)")
        let plan = try #require(try counting.json([Plan].self).first)
        let slow = plan.foreign_keys.filter { !$0.indexed }
        #expect(slow.map(\.constraint).sorted() == test.columns.map(Case.constraint).sorted())
        #expect(slow.compactMap(\.create_index).sorted() == test.statements)
        #expect(slow.allSatisfy { $0.seconds > 1 }, "\(slow)")
        #expect(plan.foreign_keys_seconds > 60)
        let refusal = plan.warnings.first { $0.hasPrefix("a run would be refused: ") } ?? ""
        #expect(Self.statements(in: refusal).sorted() == test.statements, "\(plan.warnings)")

        var counted = Dictionary(plan.cascade.map { ($0.table, $0.rows) }) { $0 + $1 }
        #expect(plan.cascade.allSatisfy { $0.counted })
        #expect(plan.counted_rows == lost[test.table])
        #expect((lost["notificationrecord"] ?? 0) > 0, "nothing goes by cascade")
        for (table, rows) in lost where table != test.table {
            let count = counted.removeValue(forKey: #""public"."\#(table)""#)
            #expect(count == rows, "\(table)")
        }
        #expect(counted.isEmpty, "tables that lose nothing: \(counted)")

        let text = try await distr.producer("plan", test.target).output
        let parts = test.columns.map { "\(Case.constraint($0)), ON DELETE CASCADE, without an index" }
        for part in parts + [#" rows of "public"."notificationrecord", by statistics"#, "a run would be refused: "] {
            #expect(text.contains(part), "\(text)")
        }
    }

    /// What the doctor says of foreign keys.
    private static func keys(_ distr: Sandbox) async throws -> [Finding] {
        try await distr.doctor().1.filter { $0.check == "foreign_keys" }
    }

    /// Expects that the doctor names all four keys, those of this target as a problem; the other's table is empty.
    private static func expectProblems(_ test: Case, _ distr: Sandbox) async throws {
        #expect(try await distr.producer("doctor").status == .exited(2))
        let findings = try await Self.keys(distr)
        for other in Case.all {
            let own = findings.filter { $0.target == other.target }
            let level = other.target == test.target ? "problem" : "ok"
            #expect(own.count == 2, "\(findings)")
            for column in other.columns {
                let finding = own.first { $0.message.contains(" \(Case.constraint(column)) of ") }
                #expect(finding?.level == level, "\(column) in \(own)")
                #expect(finding?.fix == Case.statement(column), "\(column) in \(own)")
            }
        }
    }
}
