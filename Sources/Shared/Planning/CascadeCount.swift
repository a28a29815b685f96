package import PostgresClient

/// Counts what a run would delete, and what would go by cascade with it, in one snapshot.
package struct CascadeCount: Sendable, Equatable {
    /// Rows of the target.
    package var rows: Int
    /// Rows of the tables behind it, by their oids.
    package var cascaded: [Int: Int]
    /// Whether tables refer to each other in a circle, so that more may go than was counted.
    package var isLeast: Bool
}

extension Plan {
    /// Counts now; reads all of the target's table and of those behind it, for five minutes at most.
    ///
    /// - Throws: `PlanningError` when it takes longer; `PostgresError`.
    package func count(
        terms: RunTerms,
        namespace: String,
        _ connection: PostgresConnection
    ) async throws -> CascadeCount {
        let (tables, isLeast) = self.cascadeOrder()
        let statement = self.countStatement(tables, terms: terms, namespace: namespace)
        let settings = TransactionSettings.counting.statement()
        let row: PostgresRow?
        do {
            row = try await connection.transaction(readOnly: true) { connection in
                _ = try connection.run(settings.sql, settings.parameters)
                return try connection.run(statement.sql, statement.parameters).rows.first
            }
        } catch SQLState.queryCanceled {
            let limit = DurationText.format(TransactionSettings.TimeLimits.counting.statement)
            throw PlanningError(
                "target \(self.resolved.target.name): counting takes longer than \(limit); leave out --count for an estimate"
            )
        }
        let counts = tables.indices.map { (tables[$0], row?.int($0 + 1) ?? 0) }
        return CascadeCount(
            rows: row?.int(0) ?? 0,
            cascaded: Dictionary(uniqueKeysWithValues: counts),
            isLeast: isLeast
        )
    }

    /// The keys by which rows go; those of children that are drained before take none.
    private var edges: [ReferenceFacts] {
        self.resolved.facts.references.filter { $0.action == .cascade && !self.resolved.isDrained($0) }
    }

    /// The tables that lose rows, each behind those that take rows from it; in a circle that is not possible.
    private func cascadeOrder() -> (tables: [Int], isLeast: Bool) {
        var reached: Set<Int> = [self.resolved.facts.oid]
        var waiting: [Int] = []
        var isGrowing = true
        while isGrowing {
            let next = self.edges.filter { reached.contains($0.parent) && !reached.contains($0.oid) }.map(\.oid)
            isGrowing = !next.isEmpty
            for oid in next where reached.insert(oid).inserted { waiting.append(oid) }
        }
        var order: [Int] = []
        var isLeast = false
        while !waiting.isEmpty {
            let ready = waiting.first { oid in
                self.edges.allSatisfy { $0.oid != oid || $0.parent == oid || !waiting.contains($0.parent) }
            }
            isLeast = isLeast || ready == nil
            let oid = ready ?? waiting[0]
            order.append(oid)
            waiting.removeAll { $0 == oid }
        }
        return (order, isLeast)
    }

    private func countStatement(_ tables: [Int], terms: RunTerms, namespace: String) -> PostgresStatement {
        let own = self.resolved.facts.oid
        let ordered = [own] + tables
        let referenced = { (oid: Int) in
            Set(self.edges.filter { $0.parent == oid }.flatMap(\.parentColumns)).sorted().map { SQLText.quoted($0) }
        }
        func columns(_ oid: Int, of alias: String) -> String {
            (["tableoid", "ctid"] + referenced(oid)).map { "\(alias).\($0)" }.joined(separator: ", ")
        }
        let statements = RangeStatement(self.resolved, terms: terms, namespace: namespace, generation: 1)
        var sql = SQLText()
        var text = statements.expired(columns(own, of: RuleSQL.row), as: "ebb_gone0", &sql)
        for (position, oid) in tables.enumerated() {
            let before = Set(ordered.prefix(position + 1))
            let child = "child"
            var parts: [String] = []
            for edge in self.edges where edge.oid == oid && (before.contains(edge.parent) || edge.parent == oid) {
                let parent = ordered.firstIndex(of: edge.parent) ?? 0
                let same = zip(edge.columns, edge.parentColumns).map {
                    "\(child).\(SQLText.quoted($0)) = gone.\(SQLText.quoted($1))"
                }
                let part =
                    "SELECT \(columns(oid, of: child)) FROM \(edge.name) AS \(child) JOIN ebb_gone\(parent) AS gone ON "
                    + same.joined(separator: " AND ")
                // The recursive part, of a table that refers to itself, comes last.
                if edge.parent == oid { parts.append(part) } else { parts.insert(part, at: 0) }
            }
            text += ",\nebb_gone\(position + 1) AS (\n  \(parts.joined(separator: "\n  UNION\n  ")))"
        }
        let counts = ordered.indices.map {
            "(SELECT count(*) FROM (SELECT DISTINCT tableoid, ctid FROM ebb_gone\($0)) AS g)"
        }
        return sql.statement("\(text)\nSELECT \(counts.joined(separator: ", "))")
    }
}
