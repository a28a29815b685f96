import Logging
import PostgresClient

/// After the last batch.
extension StepRunner {
    /// Looks for leftovers, and makes batches of them.
    func verify(
        _ lease: StepLease,
        _ context: RunContext,
        _ connection: PostgresConnection
    ) async throws -> Next {
        let fields = try await self.queue.fields(of: lease.run)
        let generation = fields["generation"].flatMap { Int($0) } ?? 1
        let pass = fields["pass"].flatMap { Int($0) } ?? 0
        let keepsNewest = context.record.terms.keepsNewest
        let letters = try await self.queue.deadLetters(of: lease.run)
        let scope = try Self.scope(fields, pass: pass)
        let pivots = keepsNewest ? try await self.ledger.pivotSet(lease.run, generation: generation, connection) : nil
        let verification = Verification(
            statements: context.statements(generation: generation),
            pivots: pivots,
            scope: scope,
            givenUp: Self.givenUp(letters)
        )
        // Rows that this look leaves out stay the run's failure, though their letters may be discarded before its end.
        var excused = letters.count
        if case .owed = scope { excused = max(excused, fields["excused"].flatMap { Int($0) } ?? 0) }
        let units = try await self.firstSize(context, connection).units
        let findings = try await verification.run(
            context.record.strategy,
            unitsPerBatch: context.record.strategy == .block ? units : 128,
            connection
        )
        if keepsNewest && (findings.needsPivots || pivots == nil) {
            let query = PivotQuery(
                context.resolved,
                terms: context.record.terms,
                namespace: self.ledger.namespace,
                refining: generation
            )
            _ = try await self.ledger.findPivots(query, generation: generation + 1, connection)
            guard try await self.queue.advance(lease, ["generation": String(generation + 1)]) else {
                throw LeaseLost()
            }
            return .step(.verify)
        }
        guard !findings.leftovers.isEmpty else {
            let mayVacuum = self.configuration.vacuum && context.resolved.facts.isPlainHeap
            let isLater = mayVacuum ? try await self.ledger.isVacuumedLater(lease.run, connection) : false
            let next: StepLease.Step = mayVacuum && !isLater ? .vacuum : .reconcile
            guard try await self.queue.advance(lease, ["step": next.rawValue, "excused": String(excused)]) else {
                throw LeaseLost()
            }
            return .step(next)
        }
        // A pass that took no row away and found what the one before found has achieved nothing.
        let found = "\(fields["rows"] ?? "0") \(findings.leftovers.count) from \(findings.leftovers[0])"
        let isIdle = fields["found"] == found
        let idlePasses = isIdle ? (fields["idle_passes"].flatMap { Int($0) } ?? 0) + 1 : 0
        if idlePasses >= self.configuration.batches.attempts && pass > Self.blockPasses {
            let error =
                "rows are left that cannot be deleted, the first of them \(findings.leftovers[0]); "
                + "a lock, a trigger, a foreign key or a policy holds them"
            let next = StepLease.Step.reconcile
            let changes = ["step": next.rawValue, "stuck": error, "excused": String(excused)]
            guard try await self.queue.advance(lease, changes) else {
                throw LeaseLost()
            }
            return .step(next)
        }
        if keepsNewest {
            try await self.ledger.copyPivots(lease.run, from: generation, to: generation + 1, connection)
        }
        self.logger.log(
            .info,
            "leftovers found",
            [.run: "\(lease.run)", .batches: "\(findings.leftovers.count)", .pass: "\(pass + 1)"]
        )
        let batches = findings.leftovers.enumerated().map { position, range in
            (id: "\(generation + 1).\(position + 1)", batch: PlannedBatch(range: range, units: 0))
        }
        let open = try await self.queue.append(
            batches,
            of: lease,
            priority: context.record.priority,
            from: fields["cursor"] ?? "",
            fields: [
                "generation": String(generation + 1), "cursor": "leftovers \(generation + 1)", "step": "drain",
                "owed": findings.isTruncated || findings.keys.isEmpty ? "" : BatchRange.keys(findings.keys).encoded,
                "state": RunState.running.rawValue, "found": found,
                "idle_passes": String(idlePasses),
                "excused": String(excused),
                "pass": String(findings.isTruncated && !isIdle ? pass : pass + 1),
            ]
        )
        guard open != nil else { throw LeaseLost() }
        // Whoever holds the rows may let go of them: as patient as a batch.
        return .rest(for: isIdle ? self.configuration.batches.pause(after: idlePasses - 1) : .zero)
    }

    /// The ranges of a run's dead letters, all single rows in one.
    private static func givenUp(_ letters: [DeadLetter]) -> [BatchRange] {
        var keys: [[String]] = []
        var others: [BatchRange] = []
        for letter in letters {
            switch letter.range {
            case .keys(let more)?: keys += more
            case let range?: others.append(range)
            case nil: break
            }
        }
        return keys.isEmpty ? others : others + [.keys(keys)]
    }

    /// Blocks first, then keys, then only the keys that were left.
    private static func scope(_ fields: [String: String], pass: Int) throws -> Verification.Scope {
        if let text = fields["owed"], !text.isEmpty, case .keys(let keys) = try BatchRange(encoded: text) {
            return .owed(keys)
        }
        return pass < Self.blockPasses ? .blocks : .keys
    }

    /// Leftovers are cut into blocks this many times; what still remains goes row by row, with attempts of its own.
    private static let blockPasses = 3
}
