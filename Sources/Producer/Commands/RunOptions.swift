import ArgumentParser
import Shared

/// The options that decide what a new run does; shared by the commands that plan or start one.
struct RunOptions: ParsableArguments {
    @Argument(help: "Targets, by their names in the catalogue.")
    var targets: [String]

    @Option(
        help: "Use this age instead of the target's own, e.g. 90s, 24h, 7d.",
        transform: Self.duration
    )
    var maxAge: Duration?

    @Option(help: "Keep this many newest rows per group instead of the target's own number.")
    var keep: Int?

    @Option(help: "Rows per batch; otherwise batches are sized for batches.duration.")
    var batchRows: Int?

    func validate() throws {
        if let keep, keep < 0 { throw ValidationError("--keep \(keep) is not possible; accepted: 0 or more") }
        if let batchRows, batchRows < 1 {
            throw ValidationError("--batch-rows \(batchRows) is not possible; accepted: 1 or more")
        }
    }

    /// A duration of an option.
    static func duration(_ text: String) throws -> Duration {
        do {
            return try DurationText.parsePositive(text)
        } catch {
            throw ValidationError("\(text) is no duration; accepted: \(DurationText.acceptedPositive)")
        }
    }

    /// A time limit of an option, of which 0 is none.
    static func timeLimit(_ text: String) throws -> Duration {
        do {
            return try DurationText.parse(text) == .zero ? .zero : DurationText.parsePositive(text)
        } catch {
            throw ValidationError("\(text) is no time limit; accepted: 0 for none, or \(DurationText.acceptedPositive)")
        }
    }

    /// A target that was asked for, with the values of its knobs.
    struct Wanted: Sendable {
        var entry: CatalogEntry
        var knobs: TargetSwitch
    }

    /// All targets, checked before anything is done.
    ///
    /// - Throws: `ConfigurationError` for an unknown target or a bad knob.
    func wanted(_ services: Services) throws -> [Wanted] {
        try self.targets.map { name in
            let entry = try services.catalog.entry(named: name)
            let knobs = try services.resolve(entry, maxAge: self.maxAge, keep: self.keep)
            return Wanted(entry: entry, knobs: knobs)
        }
    }
}
