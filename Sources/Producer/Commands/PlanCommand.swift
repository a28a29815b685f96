import ArgumentParser
import PostgresClient
import Shared

/// `producer plan`: what a run would do.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Shows what a run would do now: cutoff, strategy and why, batches, SQL, EXPLAIN, WAL. Writes nothing."
    )

    @OptionGroup var options: RunOptions

    @Flag(help: "Print one JSON document.")
    var json = false

    private struct Document: Encodable {
        var target: String
        var table: String
        var rule: String
        var cutoff: String?
        var strategy: String
        var reason: String
        var estimatedRows: Int
        var estimatedBatches: Int
        var predictedWALBytes: Int
        var referencingKeys: [String]
        var sql: String
        var explain: [String]

        private enum CodingKeys: String, CodingKey {
            case target, table, rule, cutoff, strategy, reason, sql, explain
            case estimatedRows = "estimated_rows"
            case estimatedBatches = "estimated_batches"
            case predictedWALBytes = "predicted_wal_bytes"
            case referencingKeys = "referencing_keys"
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
                    throw CommandError("target \(wanted.target.name) is off: \(wanted.knobs.reason)")
                }
                documents.append(try await self.document(wanted.target, knobs, services, connection))
            }
            await connection.close()
            if self.json { return try Output.json(documents) }
            for document in documents { Self.show(document) }
        }
    }

    private func document(
        _ target: Target,
        _ knobs: KnobValues,
        _ services: Services,
        _ connection: PostgresConnection
    ) async throws -> Document {
        let terms = try await RunTerms.now(knobs: knobs, connection)
        let plan = try await Plan.make(
            target,
            terms: terms,
            duration: services.configuration.batches.duration,
            fixedRows: self.options.batchRows ?? services.configuration.batches.rows,
            connection
        )
        let preview = try await plan.preview(terms: terms, ledger: services.ledger, connection)
        return Document(
            target: target.name,
            table: plan.resolved.facts.name,
            rule: target.ruleInWords(knobs),
            cutoff: terms.cutoff.map { $0.replacing(" ", with: "T") + "Z" },
            strategy: plan.choice.strategy.rawValue,
            reason: plan.choice.reason,
            estimatedRows: plan.estimatedRows,
            estimatedBatches: plan.estimatedBatches,
            predictedWALBytes: plan.predictedWAL,
            referencingKeys: plan.resolved.facts.references.map { "\($0.table) (\($0.constraint))" },
            sql: preview.sql,
            explain: preview.explain
        )
    }

    private static func show(_ plan: Document) {
        var rows = [
            ["target", "\(plan.target), table \(plan.table)"],
            ["rule", plan.rule],
            ["cutoff", plan.cutoff ?? "none"],
            ["strategy", "\(plan.strategy): \(plan.reason)"],
            ["rows", "about \(Output.number(plan.estimatedRows))"],
            ["batches", "about \(Output.number(plan.estimatedBatches))"],
            ["WAL", "about \(Output.bytes(plan.predictedWALBytes))"],
        ]
        if !plan.referencingKeys.isEmpty {
            rows.append(["looked up per row", plan.referencingKeys.joined(separator: ", ")])
        }
        Output.table(rows)
        print("\nSQL of the first batch:\n\(plan.sql)\n\nEXPLAIN:")
        for line in plan.explain { print(line) }
        print("")
    }
}
