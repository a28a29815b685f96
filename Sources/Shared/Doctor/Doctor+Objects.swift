import PostgresClient

/// What concerns targets of objects.
extension Doctor {
    /// Whether a target's bucket answers, and whether what refers to its objects can be looked up.
    func objects(_ target: ObjectTarget, _ connection: PostgresConnection) async -> [Finding] {
        let store: ObjectStore
        do {
            switch try self.services.stores.store(named: target.store) {
            case .off(let reason): return [Finding(.ok, "target", target: target.name, "it is off: \(reason)")]
            case .on(let found): store = found
            }
        } catch {
            return [Finding(.problem, "target", target: target.name, "\(error)")]
        }
        var findings = await self.made("storage", target: target.name) {
            _ = try await store.checkBucket()
            return [Finding(.ok, "storage", target: target.name, "\(store.configuration.location) answers")]
        }
        findings += await self.made("references", target: target.name) {
            // A product that is new refers to nothing yet, which must not fail the lookup.
            var lenient = target
            lenient.mayBeUnreferenced = true
            let references = try await ReferenceLookup.resolve(lenient, connection)
            let limits = self.services.configuration.batches.timeLimits
            _ = try await references.referenced(among: [target.prefix], limits: limits, connection)
            var seen = Finding(.ok, "references", target: target.name, "all that refers to its objects can be seen")
            if !target.mayBeUnreferenced, try await !references.holdsAny(limits: limits, connection) {
                seen = Finding(
                    .warning,
                    "references",
                    target: target.name,
                    "nothing at all is in \(references.words); runs refuse to delete objects until something is, or "
                        + "the setting keep_nothing (EBB_KEEP_NOTHING) names \(target.name); unless the product is "
                        + "new, check that DATABASE_URL and the store belong together"
                )
            }
            return [seen]
                + references.columns.filter { !$0.isIndexed }.map { column in
                    Finding(
                        column.avoidable >= Self.felt ? .warning : .ok,
                        "references",
                        target: target.name,
                        column.slowness + (column.avoidable >= Self.felt ? "" : "; nothing to worry about yet"),
                        fix: column.createIndex
                    )
                }
        }
        return findings
    }

    /// What reading a table once may take before it is worth a warning: a run does it with every page.
    private static let felt = Duration.milliseconds(100)
}
