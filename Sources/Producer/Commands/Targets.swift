import ArgumentParser
import Shared

/// `producer targets`: the catalogue.
struct Targets: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists what can be cleaned: table, rule, knob, and whether it is on.",
        discussion: """
            A target whose values cannot be used is listed with what is wrong with them, and the exit code is 0 all \
            the same; such a target is refused when it is asked for or scheduled.
            """
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
        /// Why it is off.
        @OrNull var reason: String? = nil
        /// What is wrong with its values, which makes it neither on nor off.
        @OrNull var error: String? = nil
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let entries = services.catalog.entries.map { Self.entry($0, services) }
            if self.json { return try Output.json(entries) }
            Output.table([["TARGET", "TABLE", "ON", "RULE"]] + entries.flatMap(Self.rows))
        }
    }

    /// One row, and one more for an error: in its column, its length would push all rules out of sight.
    private static func rows(_ entry: Entry) -> [[String]] {
        let state = entry.error != nil ? "error" : entry.on ? "on" : "off: \(entry.reason ?? "")"
        let row = [entry.name, entry.table, state, Output.line(entry.rule, most: Self.longestRule)]
        return [row] + (entry.error.map { [["", "", "", "  \($0)"]] } ?? [])
    }

    private static func entry(_ target: CatalogEntry, _ services: Services) -> Entry {
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
        do {
            switch try services.resolve(target) {
            case .on(let values): entry.rule = target.ruleInWords(values)
            case .off(let reason):
                entry.on = false
                entry.reason = reason
            }
        } catch {
            entry.on = false
            entry.error = error.description
        }
        return entry
    }
}
