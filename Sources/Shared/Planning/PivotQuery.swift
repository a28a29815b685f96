/// Finds the pivots of `keep_newest`: per group, the N-th newest row, with the keys of its N newest rows as witnesses.
///
/// A pivot need not be exact to be safe: rows older than *any* N rows of their group are superseded. So a pivot found in
/// a sample of the table never deletes too much; it may only leave something, which verification finds, and then `refine`
/// makes the pivots exact. That keeps planning short on a table of any size without a fitting index, where finding exact
/// pivots means reading the table once before the first row is deleted.
package struct PivotQuery: Sendable {
    /// How the newest rows are found.
    package enum Method: Sendable, Equatable {
        /// From group to group through an index on (group…, order…); see `SkipScan`.
        case skipScan
        /// From each row of the joined tables to its newest rows, through an index on (join columns…, order…).
        case joinedLookup
        /// In a sample of the heap's blocks, in percent; 100 reads the whole table and is exact.
        case sample(percent: Double)
        /// In the whole table, skipping what is older than the proven pivots of an earlier generation.
        case refine(generation: Int)

        /// Whether every group with at least N rows gets its true pivot.
        package var isExact: Bool { if case .sample(let percent) = self { percent >= 100 } else { true } }
    }

    let resolved: ResolvedTarget
    let terms: RunTerms
    let namespace: String
    package let method: Method

    /// - `isExact`: whether the whole table is read where a sample would do.
    package init(
        _ resolved: ResolvedTarget,
        terms: RunTerms,
        namespace: String,
        refining generation: Int? = nil,
        isExact: Bool = false
    ) {
        self.resolved = resolved
        self.terms = terms
        self.namespace = namespace
        let found = Self.method(for: resolved)
        let method = isExact && !found.isExact ? Method.sample(percent: 100) : found
        // What an index finds is found as quickly again.
        self.method = method == .skipScan ? method : generation.map { .refine(generation: $0) } ?? method
    }

    /// About 1,000 blocks: tens of thousands of rows, read in some 20 ms, see every group that a dense table has.
    private static let sampledBlocks = 1_024.0

    private static func method(for resolved: ResolvedTarget) -> Method {
        let order = resolved.order.map(\.name)
        if resolved.groupIndex != nil { return .skipScan }
        if resolved.group.allSatisfy({ $0.join != nil }),
            resolved.facts.index(leading: resolved.ownJoinColumns, following: order) != nil
        {
            return .joinedLookup
        }
        return .sample(percent: min(100, 100 * Self.sampledBlocks / Double(max(resolved.facts.blocks, 1))))
    }

    /// The query: one row per group with `group_values`, `order_values`, `witnesses` and an `ordinal` from 1.
    package func text(_ sql: inout SQLText) -> String {
        if let index = self.resolved.groupIndex, self.method == .skipScan {
            return SkipScan(rule: RuleSQL(resolved: self.resolved, terms: self.terms), index: index).text()
        }
        let count = self.terms.keep ?? 0
        let groups = self.resolved.group.indices.map { "g\($0 + 1)" }
        let lastOrder = self.resolved.order.indices.map { "(array_agg(o\($0 + 1)::text ORDER BY rank DESC))[1]" }
        let keys = self.resolved.key.indices.map { "k\($0 + 1)::text" }
        return """
            WITH \(self.ranked(&sql))
            SELECT row_number() OVER (ORDER BY \(groups.joined(separator: ", "))) AS ordinal,
                   ARRAY[\(groups.map { "\($0)::text" }.joined(separator: ", "))] AS group_values,
                   ARRAY[\(lastOrder.joined(separator: ", "))] AS order_values,
                   array_agg(ARRAY[\(keys.joined(separator: ", "))] ORDER BY rank) AS witnesses
            FROM ranked
            WHERE rank <= \(count)
            GROUP BY \(groups.joined(separator: ", "))
            HAVING count(*) >= \(count)
            """
    }

    /// `… ranked AS (…)` with the columns g1…, o1…, k1… and `rank`, 1 for a group's newest row.
    private func ranked(_ sql: inout SQLText) -> String {
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        let alias = RuleSQL.row
        let orders = self.resolved.order.enumerated().map { "\(rule.plain($1.name)) AS o\($0 + 1)" }
        let keys = self.resolved.key.enumerated().map { "\(rule.plain($1.name)) AS k\($0 + 1)" }
        let groups = self.resolved.group.indices.map { "\(rule.groupValue($0, open: true)) AS g\($0 + 1)" }
        let newest = self.resolved.order.map { "\(rule.plain($0.name)) DESC" }.joined(separator: ", ")
        let present = self.resolved.order.filter { !$0.isNotNull }.map { "\(rule.plain($0.name)) IS NOT NULL" }
        let count = self.terms.keep ?? 0
        let table = "\(self.resolved.facts.name) AS \(alias)"
        let joins = rule.joins(open: true)

        func rank(_ source: String) -> String {
            let partition = self.resolved.group.indices.map { "g\($0 + 1)" }.joined(separator: ", ")
            let order = self.resolved.order.indices.map { "o\($0 + 1) DESC" }.joined(separator: ", ")
            return """
                ranked AS (
                  SELECT *, row_number() OVER (PARTITION BY \(partition) ORDER BY \(order)) AS rank FROM (
                    \(source)) AS candidate)
                """
        }
        func filter(_ conditions: [String]) -> String {
            conditions.isEmpty ? "" : "\n    WHERE " + conditions.joined(separator: " AND ")
        }
        let columns = (groups + orders + keys).joined(separator: ", ")

        switch self.method {
        case .joinedLookup, .skipScan:
            let outputs =
                self.resolved.group.indices.map { "newest.g\($0 + 1)" }
                + self.resolved.order.indices.map { "newest.o\($0 + 1)" }
                + self.resolved.key.indices.map { "newest.k\($0 + 1)" }
            return rank(
                """
                SELECT \(outputs.joined(separator: ", "))
                FROM \(joins.from.joined(separator: ", ")) CROSS JOIN LATERAL (
                  SELECT \(columns) FROM \(table)\(filter(joins.toRow + present)) ORDER BY \(newest) LIMIT \(count)
                ) AS newest\(filter(joins.among))
                """
            )
        case .sample(let percent):
            let sampled = percent >= 100 ? table : "\(table) TABLESAMPLE SYSTEM (\(percent))"
            return rank(
                "SELECT \(columns) FROM \(([sampled] + joins.from).joined(separator: ", "))"
                    + filter(joins.conditions + present)
            )
        case .refine(let generation):
            let pivots = PivotSQL(rule: rule, namespace: self.namespace)
                .commonTable(.ledger(generation: generation, ordinals: nil), &sql)
            let matched = rule.sameGroup(open: false).joined(separator: " AND ")
            let pivot = self.resolved.order.indices.map { "\(RuleSQL.pivot).o\($0 + 1)" }.joined(separator: ", ")
            let own = self.resolved.order.map { rule.plain($0.name) }.joined(separator: ", ")
            let inner = joins.from.map { " CROSS JOIN \($0)" }.joined()
            return pivots + ",\n"
                + rank(
                    """
                    SELECT \(columns) FROM \(table)\(inner) LEFT JOIN \(RuleSQL.pivot) ON \(matched)\
                    \(filter(joins.conditions + present + ["(\(RuleSQL.pivot).o1 IS NULL OR (\(own)) >= (\(pivot)))"]))
                    """
                )
        }
    }
}

extension ResolvedTarget {
    /// The index that leads from group to group and, inside one, from its newest row to its oldest; nil when the groups are
    /// not the table's own or no index fits.
    ///
    /// It may know only the first of the order's columns, if the others are never NULL: ties are then settled in the heap.
    var groupIndex: IndexFacts? {
        guard !self.group.isEmpty, self.group.allSatisfy({ $0.join == nil }),
            self.group.count(where: { !$0.facts.isNotNull }) <= SkipScan.mostNullable
        else { return nil }
        let names = self.group.map(\.facts.name)
        for known in self.order.indices.reversed() where self.order[(known + 1)...].allSatisfy(\.isNotNull) {
            if let index = self.facts.index(leading: names, following: self.order[...known].map(\.name)) {
                return index
            }
        }
        return nil
    }

    /// The target's own columns that its joins compare.
    var ownJoinColumns: [String] {
        let sides = self.target.joins.flatMap(\.conditions).flatMap { [$0.left, $0.right] }
        var names: [String] = []
        for side in sides where side.table == nil && !names.contains(side.name) { names.append(side.name) }
        return names
    }
}
