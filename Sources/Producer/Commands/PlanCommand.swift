import ArgumentParser
import FoundationEssentials
import PostgresClient
import Shared

/// `producer plan`: what a run would do.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Shows what a run would do now: cutoff, strategy and why, batches, SQL, EXPLAIN, WAL. Writes nothing."
    )

    @OptionGroup var options: RunOptions

    @Flag(help: "Count the rows, and those that go by cascade, instead of estimating; reads the tables.")
    var count = false

    @Flag(help: "Print one JSON document.")
    var json = false

    private struct Document: Encodable {
        var target: String
        var table: String
        var rule: String
        @OrNull var cutoff: String? = nil
        var strategy: String
        var reason: String
        var estimatedRows: Int
        /// With --count.
        @OrNull var countedRows: Int? = nil
        var estimatedBatches: Int
        var predictedWALBytes: Int
        var referencingKeys: [String]
        var foreignKeys: [ForeignKeyDocument]
        /// What missing indexes add to the run.
        var foreignKeysSeconds: Double
        var cascade: [CascadeDocument]
        var warnings: [String]
        /// Of objects only.
        @OrNull var estimatedKeys: Int? = nil
        @OrNull var estimatedBytes: Int? = nil
        var sql: String
        var explain: [String]

        private enum CodingKeys: String, CodingKey {
            case target, table, rule, cutoff, strategy, reason, cascade, warnings, sql, explain
            case estimatedRows = "estimated_rows"
            case countedRows = "counted_rows"
            case estimatedBatches = "estimated_batches"
            case estimatedKeys = "estimated_keys"
            case estimatedBytes = "estimated_bytes"
            case predictedWALBytes = "predicted_wal_bytes"
            case referencingKeys = "referencing_keys"
            case foreignKeys = "foreign_keys"
            case foreignKeysSeconds = "foreign_keys_seconds"
        }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let wanted = try self.options.wanted(services)
            let connection = try await services.connectPostgres(as: "ebb producer")
            var documents: [Document] = []
            for wanted in wanted {
                guard case .on(let knobs) = wanted.knobs else {
                    throw CommandError("target \(wanted.entry.name) is off: \(wanted.knobs.reason)")
                }
                switch wanted.entry {
                case .table:
                    for case .table(let target) in try await services.places(of: wanted.entry, connection) {
                        documents += try await self.documents(target, knobs, services, connection)
                    }
                    if let reason = wanted.entry.emptyGroup, !self.json,
                        !documents.contains(where: { $0.target == wanted.entry.name })
                    {
                        print("\(wanted.entry.name): nothing to do, \(reason)")
                    }
                case .objects(let target):
                    documents.append(try await Self.document(target, knobs, services, connection))
                }
            }
            await connection.close()
            if self.json { return try Output.json(documents) }
            var shown: Set<String> = []
            for target in documents.map(\.target) where shown.insert(target).inserted {
                Self.show(documents.filter { $0.target == target })
            }
        }
    }

    /// A target's plan, after those of the children that are drained first: a run of its own each, if any row is expired.
    private func documents(
        _ target: Target,
        _ knobs: KnobValues,
        _ services: Services,
        _ connection: PostgresConnection
    ) async throws -> [Document] {
        let terms = try await RunTerms.now(knobs: knobs, connection)
        let plan = try await self.plan(target, terms, services, connection)
        var documents: [Document] = []
        for child in try await plan.drains(terms, connection) {
            let plan = try await self.plan(child, terms, services, connection)
            documents.append(try await self.document(plan, terms, knobs, services, connection))
        }
        return documents + [try await self.document(plan, terms, knobs, services, connection)]
    }

    private func plan(
        _ target: Target,
        _ terms: RunTerms,
        _ services: Services,
        _ connection: PostgresConnection
    ) async throws -> Plan {
        try await Plan.make(
            target,
            terms: terms,
            duration: services.configuration.batches.duration,
            fixedRows: self.options.batchRows ?? services.configuration.batches.rows,
            connection
        )
    }

    private func document(
        _ plan: Plan,
        _ terms: RunTerms,
        _ knobs: KnobValues,
        _ services: Services,
        _ connection: PostgresConnection
    ) async throws -> Document {
        let target = plan.resolved.target
        var warnings: [String] = []
        do { try plan.checkReferences(most: services.configuration.foreignKeys.most) } catch {
            warnings.append("a run would be refused: \(error)")
        }
        warnings += try await RunWarnings.read(plan.resolved, connection)
        let count =
            self.count ? try await plan.count(terms: terms, namespace: services.ledger.namespace, connection) : nil
        let preview = try await plan.preview(terms: terms, ledger: services.ledger, connection)
        return Document(
            target: target.name,
            table: plan.resolved.facts.name,
            rule: target.ruleInWords(knobs),
            cutoff: terms.cutoff.map { $0.replacing(" ", with: "T") + "Z" },
            strategy: plan.choice.strategy.rawValue,
            reason: plan.choice.reason,
            estimatedRows: plan.estimatedRows,
            countedRows: count?.rows,
            estimatedBatches: plan.estimatedBatches,
            predictedWALBytes: plan.predictedWAL,
            referencingKeys: plan.resolved.facts.directReferences.map { "\($0.table) (\($0.constraint))" },
            foreignKeys: plan.references.keys.map { ForeignKeyDocument($0) },
            foreignKeysSeconds: plan.references.avoidable / .seconds(1),
            cascade: plan.references.cascades.map { CascadeDocument($0, counted: count) },
            warnings: warnings,
            sql: preview.sql,
            explain: preview.explain
        )
    }

    private static func document(
        _ target: ObjectTarget,
        _ knobs: KnobValues,
        _ services: Services,
        _ connection: PostgresConnection
    ) async throws -> Document {
        let plan = try await ObjectPlan.make(
            target,
            minAge: knobs.maxAge ?? .zero,
            store: try services.store(of: target),
            limits: services.configuration.batches.timeLimits,
            connection
        )
        var warnings: [String] = []
        do { try plan.checkReferences(most: services.configuration.foreignKeys.most) } catch {
            warnings.append("a run would be refused: \(error)")
        }
        let reason =
            plan.cut.digits == 0
            ? "one listing holds all keys of \(target.prefix)"
            : "\(plan.cut.digits) digits of about \(plan.estimatedKeys) keys make batches of some thousand"
        return Document(
            target: target.name,
            table: plan.location,
            rule: target.ruleInWords(knobs),
            cutoff: plan.cutoff.formatted(.iso8601),
            strategy: Strategy.prefix.rawValue,
            reason: reason,
            estimatedRows: plan.estimatedObjects,
            estimatedBatches: plan.cut.count,
            predictedWALBytes: 0,
            referencingKeys: target.references.map { "\($0.table) (\($0.column))" },
            foreignKeys: [],
            foreignKeysSeconds: 0,
            cascade: [],
            warnings: warnings,
            estimatedKeys: plan.estimatedKeys,
            estimatedBytes: plan.estimatedBytes,
            sql: plan.references.statement(plan.sample).sql,
            explain: try await plan.references.explain(plan.sample, connection)
        )
    }

    /// One target in all its schemas: the one with the most work as a whole, a line for each other.
    private static func show(_ plans: [Document]) {
        guard let largest = plans.max(by: { $0.estimatedRows < $1.estimatedRows }) else { return }
        Self.show(largest)
        let others = plans.filter { $0.table != largest.table }
        guard !others.isEmpty else { return }
        Output.table(
            [["ALSO", "ROWS", "BATCHES", "WARNINGS"]]
                + others.map { plan in
                    [
                        plan.table, Output.number(plan.countedRows ?? plan.estimatedRows),
                        Output.number(plan.estimatedBatches), plan.warnings.joined(separator: "; "),
                    ]
                }
        )
        print("")
    }

    private static func show(_ plan: Document) {
        var rows = [
            ["target", "\(plan.target), \(plan.estimatedKeys == nil ? "table" : "bucket") \(plan.table)"],
            ["rule", plan.rule],
            ["cutoff", plan.cutoff ?? "none"],
            ["strategy", "\(plan.strategy): \(plan.reason)"],
        ]
        if let keys = plan.estimatedKeys {
            rows += [
                ["keys", "about \(Output.number(keys))"],
                [
                    "objects",
                    "about \(Output.number(plan.estimatedRows)), \(Output.bytes(plan.estimatedBytes ?? 0))",
                ],
                ["batches", Output.number(plan.estimatedBatches)],
            ]
        } else {
            rows += [
                [
                    "rows",
                    plan.countedRows.map { "\(Output.number($0)), counted now" }
                        ?? "about \(Output.number(plan.estimatedRows)), by statistics",
                ],
                ["batches", "about \(Output.number(plan.estimatedBatches))"],
                ["WAL", "about \(Output.bytes(plan.predictedWALBytes))"],
            ]
        }
        rows += plan.cascade.enumerated().map { position, cascade in
            [position == 0 ? "by cascade" : "", cascade.words]
        }
        rows += plan.foreignKeys.enumerated().map { position, key in [position == 0 ? "looked up" : "", key.words] }
        rows += plan.warnings.map { ["warning", $0] }
        Output.table(rows)
        let what = plan.estimatedKeys == nil ? "SQL of the first batch" : "References are looked up so"
        print("\n\(what):\n\(plan.sql)\n\nEXPLAIN:")
        for line in plan.explain { print(line) }
        print("")
    }
}
