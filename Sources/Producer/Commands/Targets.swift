import ArgumentParser
import Shared

/// `producer targets`: the catalogue.
struct Targets: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists what can be cleaned: table, rule, knob, and whether it is on."
    )

    @Flag(help: "Print one JSON document.")
    var json = false

    /// How much of a rule the table shows; `plan` and JSON have it whole.
    private static let longestRule = 100

    private struct Entry: Encodable {
        var name: String
        var table: String
        /// The group of schemas that it is in.
        @OrNull var `in`: String?
        var rule: String
        var knobs: [String]
        var on: Bool
        @OrNull var reason: String? = nil
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let entries = try services.catalog.entries.map { try Self.entry($0, services) }
            if self.json { return try Output.json(entries) }
            Output.table(
                [["TARGET", "TABLE", "ON", "RULE"]]
                    + entries.map {
                        [
                            $0.name, $0.table, $0.on ? "on" : "off: \($0.reason ?? "")",
                            Output.line($0.rule, most: Self.longestRule),
                        ]
                    }
            )
        }
    }

    private static func entry(_ target: CatalogEntry, _ services: Services) throws -> Entry {
        let resolved = try services.resolve(target)
        let place =
            switch target {
            case .table(let table):
                table.group.map { "\($0.like).\(table.table)" } ?? table.schema.map { "\($0).\(table.table)" }
                    ?? table.table
            case .objects(let objects): "\(objects.store)/\(objects.prefix)"
            }
        var entry = Entry(
            name: target.name,
            table: place,
            in: target.group?.name,
            rule: target.ruleInWords(),
            knobs: target.knobs.compactMap(\.variableName),
            on: true
        )
        switch resolved {
        case .on(let values): entry.rule = target.ruleInWords(values)
        case .off(let reason):
            entry.on = false
            entry.reason = reason
        }
        return entry
    }
}
