import ArgumentParser
import FoundationEssentials
import Shared

/// `producer dead`: batches that were given up on.
struct Dead: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists, shows, retries or discards batches that were given up on.",
        subcommands: [List.self, Show.self, Retry.self, Discard.self],
        defaultSubcommand: List.self
    )

    /// Which dead letters are meant.
    struct Choice: ParsableArguments {
        @Option(help: "Only those of this run.")
        var run: String?

        @Option(help: "Only this batch of the run; may be given several times.")
        var batch: [String] = []

        func validate() throws {
            if self.run == nil && !self.batch.isEmpty {
                throw ValidationError("--batch needs --run: batches are numbered run by run")
            }
        }

        /// The letters that are meant, oldest first.
        ///
        /// - Throws: `CommandError` for a batch that has none.
        func letters(_ queue: Queue) async throws -> [DeadLetter] {
            let letters = try await queue.deadLetters(of: self.run)
            if self.batch.isEmpty { return letters }
            for batch in self.batch where !letters.contains(where: { $0.batch == batch }) {
                throw CommandError(
                    "batch \(batch) of run \(self.run ?? "") has no dead letter; producer dead list shows all"
                )
            }
            return letters.filter { self.batch.contains($0.batch) }
        }
    }

    /// What commands that show dead letters have in common.
    struct Showing: ParsableArguments {
        @OptionGroup var choice: Choice

        @Flag(help: "Print one JSON document.")
        var json = false

        /// Shows the chosen letters: as JSON, or to people by `show`.
        func run(_ show: ([DeadLetterDocument]) -> Void) async throws {
            try await reportingErrors {
                let queue = try Services.producer().queue()
                let letters = try await DeadLetterDocument.all(try await self.choice.letters(queue), queue)
                await queue.close()
                if self.json { return try Output.json(letters) }
                if letters.isEmpty { print("no batch was given up on") } else { show(letters) }
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists dead letters, oldest first.")

        @OptionGroup var showing: Showing

        func run() async throws {
            try await self.showing.run { letters in
                Output.table(
                    [["RUN", "BATCH", "TARGET", "RANGE", "ATTEMPTS", "LAST FAILED", "ERROR"]]
                        + letters.map { letter in
                            [
                                letter.run, letter.batch, letter.target, String(letter.range.prefix(60)),
                                "\(letter.attempts)", letter.lastFailedAt ?? "", letter.error,
                            ]
                        }
                )
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows dead letters in full.")

        @OptionGroup var showing: Showing

        func run() async throws {
            try await self.showing.run { letters in
                for letter in letters {
                    Output.table([
                        ["run", letter.run], ["batch", letter.batch], ["target", letter.target],
                        ["range", letter.range],
                        ["attempts", "\(letter.attempts)"], ["SQLSTATE", letter.sqlState ?? "none"],
                        ["error", letter.error], ["first failed", letter.firstFailedAt ?? "unknown"],
                        ["last failed", letter.lastFailedAt ?? "unknown"],
                    ])
                }
            }
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes dead letters back into the queue; runs that had failed are running again."
        )

        @OptionGroup var choice: Choice

        func run() async throws {
            try await reportingErrors {
                let session = try await Session.open(try Services.producer())
                let control = session.services.runControl(session.queue)
                let letters = try await self.choice.letters(session.queue)
                if letters.isEmpty { print("no batch was given up on") }
                var refused = 0
                for (run, letters) in Dictionary(grouping: letters, by: \.run).sorted(by: { $0.key < $1.key }) {
                    do {
                        let count = try await control.retry(letters.map(\.batch), of: run, session.connection)
                        print("run \(run): \(count) batches are tried again")
                    } catch  where error is RunRefusal || error is LedgerError {
                        complain("\(error)")
                        refused += 1
                    }
                }
                await session.close()
                // A single run that is refused is a wrong wish; of several, the others were done.
                if refused > 0 { throw self.choice.run == nil ? ExitCode.runFailed : ExitCode.unusable }
            }
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Throws dead letters away: their runs stay failed, their rows stay, and so do files of rows that are gone."
        )

        @OptionGroup var choice: Choice

        func run() async throws {
            try await reportingErrors {
                let queue = try Services.producer().queue()
                let count = try await queue.discard(try await self.choice.letters(queue))
                print("\(count) dead letters are discarded")
                await queue.close()
            }
        }
    }
}

/// A dead letter as `producer dead list --json` prints it; the names are the contract of DESIGN 3.1.
struct DeadLetterDocument: Encodable {
    var run: String
    var batch: String
    var target: String
    var range: String
    var attempts: Int
    var sqlState: String?
    var error: String
    /// ISO 8601, UTC.
    var firstFailedAt: String?
    var lastFailedAt: String?

    private enum CodingKeys: String, CodingKey {
        case run, batch, target, range, attempts, error
        case sqlState = "sqlstate"
        case firstFailedAt = "first_failed_at"
        case lastFailedAt = "last_failed_at"
    }

    /// Every name is always there; what is not known is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.run, forKey: .run)
        try container.encode(self.batch, forKey: .batch)
        try container.encode(self.target, forKey: .target)
        try container.encode(self.range, forKey: .range)
        try container.encode(self.attempts, forKey: .attempts)
        try container.encode(self.sqlState, forKey: .sqlState)
        try container.encode(self.error, forKey: .error)
        try container.encode(self.firstFailedAt, forKey: .firstFailedAt)
        try container.encode(self.lastFailedAt, forKey: .lastFailedAt)
    }

    /// Letters with their targets' names, which Redis has in the runs' summaries.
    static func all(_ letters: [DeadLetter], _ queue: Queue) async throws -> [DeadLetterDocument] {
        var targets: [String: String] = [:]
        for run in Set(letters.map(\.run)) { targets[run] = try await queue.fields(of: run)["target"] }
        func text(_ date: Date?) -> String? {
            date.map { $0.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }
        }
        return letters.map { letter in
            DeadLetterDocument(
                run: letter.run,
                batch: letter.batch,
                target: targets[letter.run] ?? "",
                range: letter.range?.description ?? "not a range that Ebb wrote",
                attempts: letter.attempts,
                sqlState: letter.sqlState,
                error: letter.error,
                firstFailedAt: text(letter.firstFailedAt),
                lastFailedAt: text(letter.lastFailedAt)
            )
        }
    }
}
