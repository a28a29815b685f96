package import PostgresClient

/// The statements of one range: deleting its expired rows, and finding those that are still there.
///
/// Both are the same text up to their first line, so that a run is verified exactly as it deleted.
package struct RangeStatement: Sendable {
    package let resolved: ResolvedTarget
    package let terms: RunTerms
    /// The ledger's schema.
    package let namespace: String
    package let generation: Int

    package init(_ resolved: ResolvedTarget, terms: RunTerms, namespace: String, generation: Int) {
        self.resolved = resolved
        self.terms = terms
        self.namespace = namespace
        self.generation = generation
    }

    /// Deletes the expired rows of a range, except for those that somebody else has locked; needs the privilege to update.
    ///
    /// Locking each row first costs twice the time and a log record per row, so it is not how batches begin.
    package func deleteUnlocked(_ range: BatchRange) -> PostgresStatement {
        var sql = SQLText()
        let (with, from, conditions) = self.parts(range, pivots: nil, &sql)
        let row = RuleSQL.row
        let tables = ["\(self.resolved.facts.name) AS \(row)"] + from
        // The table's oid beside the ctid: partitions number their rows each for itself.
        return sql.statement(
            """
            \(with.isEmpty ? "WITH " : with.dropLast() + ", ")ebb_free AS MATERIALIZED (
              SELECT \(row).tableoid, \(row).ctid FROM \(tables.joined(separator: ", "))
              WHERE \(conditions.joined(separator: " AND "))
              FOR UPDATE OF \(row) SKIP LOCKED)
            DELETE FROM \(self.resolved.facts.name) AS \(row)
            WHERE \(row).ctid = ANY (ARRAY(SELECT ctid FROM ebb_free))
              AND (\(row).tableoid, \(row).ctid) IN (SELECT tableoid, ctid FROM ebb_free)
            """
        )
    }

    /// Deletes the expired rows of a range.
    ///
    /// - `pivots`: a query to take the pivots from instead of the ledger; see `PivotSQL.Source`.
    package func delete(_ range: BatchRange, pivots: String? = nil) -> PostgresStatement {
        var sql = SQLText()
        let (with, from, conditions) = self.parts(range, pivots: pivots, &sql)
        let using = from.isEmpty ? "" : "\nUSING " + from.joined(separator: ", ")
        return sql.statement(
            "\(with)DELETE FROM \(self.resolved.facts.name) AS \(RuleSQL.row)\(using)"
                + "\nWHERE " + conditions.joined(separator: "\n  AND ")
        )
    }

    /// The settings under which the statements of a range run.
    ///
    /// - `limits`: those of a step, without.
    package func settings(for range: BatchRange, limits: TransactionSettings.TimeLimits? = nil) -> TransactionSettings {
        let isHashing =
            self.resolved.guards.contains { !$0.isIndexed } || self.resolved.facts.kept.contains { !$0.isIndexed }
        let isChained = self.resolved.chain != nil
        return TransactionSettings(for: range, limits: limits, isHashing: isHashing, isChained: isChained)
    }

    /// What a batch runs to delete the expired rows of a range, in this order; the last one's count is the batch's.
    ///
    /// With `protect`, rows are locked first and deleted by a statement of its own. In one statement, a row whose first
    /// referring row is being inserted would be waited for and then deleted, and the new row with it by cascade: its snapshot is
    /// older than the insert's commit, and a lock of a foreign key's check does not make PostgreSQL look at the conditions
    /// again. Behind the lock, a new snapshot sees all that was inserted before, and nothing can be inserted any more.
    ///
    /// - `skippingLocked`: whether rows that somebody else has locked are left out; takes the privilege to update, as
    ///   `protect` does.
    package func batch(_ range: BatchRange, skippingLocked: Bool) -> [PostgresStatement] {
        if let chain = self.resolved.chain { return self.leafFirst(range, chain) }
        if !self.resolved.guards.isEmpty {
            return [self.lock(range, skippingLocked: skippingLocked), self.deleteLocked(range)]
        }
        return [skippingLocked ? self.deleteUnlocked(range) : self.delete(range)]
    }

    /// Locks the expired rows of a range against everybody, in one order for all.
    private func lock(_ range: BatchRange, skippingLocked: Bool) -> PostgresStatement {
        var sql = SQLText()
        let (with, from, conditions) = self.parts(range, pivots: nil, &sql)
        let row = RuleSQL.row
        let tables = ["\(self.resolved.facts.name) AS \(row)"] + from
        return sql.statement(
            """
            \(with.isEmpty ? "WITH " : with.dropLast() + ", ")ebb_locked AS MATERIALIZED (
              SELECT FROM \(tables.joined(separator: ", "))
              WHERE \(conditions.joined(separator: " AND "))
              ORDER BY \(row).tableoid, \(row).ctid FOR UPDATE OF \(row)\(skippingLocked ? " SKIP LOCKED" : ""))
            SELECT count(*) FROM ebb_locked
            """
        )
    }

    /// Deletes the expired rows of a range that this transaction has locked: nothing that came in between is among them.
    private func deleteLocked(_ range: BatchRange) -> PostgresStatement {
        let delete = self.delete(range)
        let own = "\(RuleSQL.row).xmax = (SELECT pg_current_xact_id()::xid)"
        return PostgresStatement(delete.sql + "\n  AND " + own, delete.parameters)
    }

    /// `WITH RECURSIVE … name AS MATERIALIZED (…)`: all expired rows of the table, with the pivots that they would have now.
    ///
    /// - `output`: what is selected of each.
    func expired(_ output: String, as name: String, _ sql: inout SQLText) -> String {
        var pivots: String?
        if self.terms.keepsNewest {
            let query = PivotQuery(self.resolved, terms: self.terms, namespace: self.namespace, isExact: true)
            pivots = query.text(&sql)
        }
        if let chain = self.resolved.chain {
            return """
                \(self.free(.idRange(from: nil, to: nil), chain, pivots: pivots, &sql)),
                \(name) AS MATERIALIZED (
                  SELECT \(output) FROM \(self.resolved.facts.name) AS \(RuleSQL.row)
                  WHERE (\(RuleSQL.row).tableoid, \(RuleSQL.row).ctid) IN (SELECT t, c FROM ebb_free))
                """
        }
        let (with, from, conditions) = self.parts(.idRange(from: nil, to: nil), pivots: pivots, &sql)
        let tables = ["\(self.resolved.facts.name) AS \(RuleSQL.row)"] + from
        let common = with.isEmpty ? "" : with.dropFirst("WITH ".count).dropLast() + ",\n"
        return """
            WITH RECURSIVE \(common)\(name) AS MATERIALIZED (
              SELECT \(output) FROM \(tables.joined(separator: ", "))
              WHERE \((conditions + ["true"]).joined(separator: " AND ")))
            """
    }

    /// Defers the constraints that the target names to the commit; nil for none.
    package var deferral: PostgresStatement? {
        let names = self.resolved.target.deferred.map { SQLText.quoted(self.resolved.facts.schema, $0) }
        return names.isEmpty
            ? nil : PostgresStatement("SET CONSTRAINTS \(names.joined(separator: ", ")) DEFERRED")
    }

    /// How many pivots of the generation can be proven now.
    func countProvenPivots() -> PostgresStatement {
        var sql = SQLText()
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        let pivots = PivotSQL(rule: rule, namespace: self.namespace)
            .commonTable(.ledger(generation: self.generation, ordinals: nil), &sql)
        return sql.statement("WITH \(pivots)SELECT count(*) FROM \(RuleSQL.pivot)")
    }

    /// One row if any row meets the conditions on the row alone.
    func anyExpired() -> PostgresStatement {
        var sql = SQLText()
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        let joins = rule.joins(open: true)
        let tables = ["\(self.resolved.facts.name) AS \(RuleSQL.row)"] + joins.from
        let conditions = rule.rowConditions(&sql) + joins.conditions + ["true"]
        return sql.statement(
            "SELECT 1 FROM \(tables.joined(separator: ", ")) WHERE \(conditions.joined(separator: " AND ")) LIMIT 1"
        )
    }

    /// One row if a range holds rows that meet every condition but that of being older than a pivot.
    func findUncovered(_ range: BatchRange) -> PostgresStatement {
        var sql = SQLText()
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        let conditions = self.rangeConditions(range, rule, &sql) + rule.rowConditions(&sql)
        let pivots = PivotSQL(rule: rule, namespace: self.namespace)
            .commonTable(.ledger(generation: self.generation, ordinals: nil), proven: false, &sql)
        let joins = rule.joins(open: false)
        let present = self.resolved.order.map { "\(rule.plain($0.name)) IS NOT NULL" }
        let tables = ([self.resolved.facts.name + " AS " + RuleSQL.row] + joins.from).joined(separator: " CROSS JOIN ")
        let all =
            conditions + joins.conditions + present
            + ["(\(rule.olderThanPivot(open: false).joined(separator: " AND "))) IS NOT TRUE"]
        return sql.statement(
            """
            WITH \(pivots)
            SELECT 1 FROM \(tables)
            LEFT JOIN \(RuleSQL.pivot) ON \(rule.sameGroup(open: false).joined(separator: " AND "))
            WHERE \(all.joined(separator: " AND ")) LIMIT 1
            """
        )
    }

    /// How many expired rows each of some groups has, counted up to `limit`: (ordinal, count), empty groups left out.
    func groupSizes(_ ordinals: Range<Int>, limit: Int) -> PostgresStatement {
        var sql = SQLText()
        let range = BatchRange.group(from: ordinals.lowerBound, to: ordinals.upperBound, slice: nil)
        let (with, from, conditions) = self.parts(range, pivots: nil, &sql)
        let tables = ["\(self.resolved.facts.name) AS \(RuleSQL.row)"] + from.filter { $0 != RuleSQL.pivot }
        let most = sql.bind(limit)
        return sql.statement(
            """
            \(with)SELECT \(RuleSQL.pivot).ordinal, counted.rows
            FROM \(RuleSQL.pivot) CROSS JOIN LATERAL (
              SELECT count(*) AS rows FROM (
                SELECT FROM \(tables.joined(separator: ", "))
                WHERE \(conditions.joined(separator: " AND ")) LIMIT \(most)) AS expired) AS counted
            WHERE counted.rows > 0
            """
        )
    }

    /// The value of the first order column that has `offset` expired rows of a group between it and `from`.
    func sliceBoundary(_ ordinal: Int, from: String?, offset: Int) -> PostgresStatement {
        let column = "\(RuleSQL.row).\(SQLText.quoted(self.resolved.order[0].name))"
        return self.select(
            "\(column)::text",
            .group(from: ordinal, to: ordinal + 1, slice: .init(from: from, to: nil)),
            suffix: "ORDER BY \(column) OFFSET \(offset) LIMIT 1"
        )
    }

    /// The smallest value of the first order column above `value` among a group's expired rows; NULL for none.
    func sliceAfter(_ ordinal: Int, _ value: String) -> PostgresStatement {
        var sql = SQLText()
        let range = BatchRange.group(from: ordinal, to: ordinal + 1, slice: .init(from: value, to: nil))
        let (with, from, conditions) = self.parts(range, pivots: nil, &sql)
        let column = "\(RuleSQL.row).\(SQLText.quoted(self.resolved.order[0].name))"
        let above = "\(column) > \(sql.bind(value, as: self.resolved.order[0].type))"
        let tables = ["\(self.resolved.facts.name) AS \(RuleSQL.row)"] + from
        return sql.statement(
            "\(with)SELECT min(\(column))::text FROM \(tables.joined(separator: ", "))"
                + "\nWHERE " + (conditions + [above]).joined(separator: "\n  AND ")
        )
    }

    /// Selects from the expired rows of a range.
    ///
    /// - `proven`: whether the pivots are proven in the statement; not needed again in a snapshot in which all of them were.
    /// - `others`: ranges whose rows are left out; those of groups say nothing about single rows and leave none out.
    func select(
        _ output: String,
        _ range: BatchRange,
        proven: Bool = true,
        except others: [BatchRange] = [],
        suffix: String
    ) -> PostgresStatement {
        var sql = SQLText()
        var (with, from, conditions) = self.parts(range, pivots: nil, proven: proven, &sql)
        conditions += self.exclusions(others, &sql)
        let tables = ["\(self.resolved.facts.name) AS \(RuleSQL.row)"] + from
        return sql.statement(
            "\(with)SELECT \(output)\nFROM \(tables.joined(separator: ", "))"
                + "\nWHERE " + conditions.joined(separator: "\n  AND ") + "\n" + suffix
        )
    }

    /// Selects from the rows of a range that should be gone: all expired ones, but for those that a descendant holds.
    ///
    /// For a snapshot in which all pivots were proven already.
    ///
    /// - `others`: as for ``select(_:_:except:suffix:)``; what hangs on their rows stays, too.
    func selectLeftovers(
        _ output: String,
        _ range: BatchRange,
        except others: [BatchRange],
        suffix: String
    ) -> PostgresStatement {
        if let chain = self.resolved.chain {
            return self.selectFree(output, range, chain, except: others, suffix: suffix)
        }
        return self.select(output, range, proven: false, except: others, suffix: suffix)
    }

    /// That a row lies in none of some ranges; those of groups say nothing about single rows.
    func exclusions(_ others: [BatchRange], _ sql: inout SQLText) -> [String] {
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        return others.filter { !$0.isGroup }.map {
            "NOT (\(self.rangeConditions($0, rule, &sql).joined(separator: " AND ")))"
        }
    }

    /// The keys of up to `limit` expired rows, in their order, behind `last`.
    func keys(after last: [String]?, limit: Int) -> PostgresStatement {
        var sql = SQLText()
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        var (with, from, conditions) = self.parts(.idRange(from: nil, to: nil), pivots: nil, &sql)
        let columns = self.resolved.key.map { rule.plain($0.name) }
        if let last {
            let values = zip(self.resolved.key, last).map { sql.bind($1, as: $0.type) }
            conditions.append("(\(columns.joined(separator: ", "))) > (\(values.joined(separator: ", ")))")
        }
        let tables = ["\(self.resolved.facts.name) AS \(RuleSQL.row)"] + from
        return sql.statement(
            "\(with)SELECT \(columns.map { $0 + "::text" }.joined(separator: ", ")) FROM \(tables.joined(separator: ", "))"
                + "\nWHERE " + conditions.joined(separator: "\n  AND ")
                + "\nORDER BY \(columns.joined(separator: ", ")) LIMIT \(limit)"
        )
    }

    private func parts(
        _ range: BatchRange,
        pivots: String?,
        proven: Bool = true,
        _ sql: inout SQLText
    ) -> (with: String, from: [String], conditions: [String]) {
        var ordinals: Range<Int>?
        if case .group(let from, let to, _) = range { ordinals = from..<to }
        let source =
            pivots.map { .query($0) } ?? PivotSQL.Source.ledger(generation: self.generation, ordinals: ordinals)
        let with = self.pivotTable(source, proven: proven, &sql).map { "WITH \($0)\n" } ?? ""
        let (from, conditions) = self.rows(range, &sql)
        return (with, from, conditions)
    }

    /// The common table of the pivots; nil when there are none.
    func pivotTable(_ source: PivotSQL.Source, proven: Bool = true, _ sql: inout SQLText) -> String? {
        guard self.terms.keepsNewest else { return nil }
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        return PivotSQL(rule: rule, namespace: self.namespace).commonTable(source, proven: proven, &sql)
    }

    /// What the expired rows of a range are selected from besides their own table, and by which conditions.
    ///
    /// - `range`: nil for rows that are found in another way.
    /// - `ofAllGroups`: whether the pivots are those of all groups, also for a range of some.
    func rows(
        _ range: BatchRange?,
        ofAllGroups: Bool = false,
        _ sql: inout SQLText
    ) -> (from: [String], conditions: [String]) {
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        let open = range?.isGroup ?? false
        var conditions = range.map { self.rangeConditions($0, rule, &sql) } ?? []
        let joins = rule.joins(open: open)
        let isAlone = range != nil && joins.from.isEmpty && !self.terms.keepsNewest
        conditions += rule.rowConditions(isAlone: isAlone, &sql)
        var from = joins.from
        conditions += joins.conditions
        if self.terms.keepsNewest {
            from.insert(RuleSQL.pivot, at: 0)
            conditions += rule.sameGroup(open: open) + rule.olderThanPivot(open: open)
            if ofAllGroups, case .group(let first, let last, _)? = range {
                conditions.append("\(RuleSQL.pivot).ordinal >= \(sql.bind(first))")
                conditions.append("\(RuleSQL.pivot).ordinal < \(sql.bind(last))")
            }
        }
        // Every row, if it comes to that: all of a rule can lie in its range, and a rule that keeps nothing may have no other.
        return (from, conditions.isEmpty ? ["true"] : conditions)
    }

    /// The one condition that an index, or the heap's own order, serves.
    func rangeConditions(_ range: BatchRange, _ rule: RuleSQL, _ sql: inout SQLText) -> [String] {
        func between(_ column: ColumnFacts, _ from: String?, _ to: String?, as type: String) -> [String] {
            let name = rule.plain(column.name)
            return [
                from.map { "\(name) >= \(sql.bind($0, as: type))" },
                to.map { "\(name) < \(sql.bind($0, as: type))" },
            ].compactMap { $0 }
        }
        switch range {
        case .block(let from, let to):
            return [
                "\(RuleSQL.row).ctid >= \(sql.bind("(\(from),0)", as: "tid"))",
                "\(RuleSQL.row).ctid < \(sql.bind("(\(to),0)", as: "tid"))",
            ]
        case .window(let from, let to):
            guard let limit = rule.timeLimit() else { return ["false"] }
            return between(limit.column, from, to ?? limit.value, as: limit.type)
        case .idRange(let from, let to):
            return between(self.resolved.key[0], from, to, as: self.resolved.key[0].type)
        case .group(_, _, let slice):
            guard let slice, let column = self.resolved.order.first else { return [] }
            return between(column, slice.from, slice.to, as: column.type)
        // No table has any.
        case .objects: return ["false"]
        case .keys(let keys) where self.resolved.key.count == 1:
            let column = self.resolved.key[0]
            let list = SQLText.array(keys.map { $0[0] })
            return ["\(rule.plain(column.name)) = ANY (\(sql.bind(list, as: "\(column.type)[]")))"]
        case .keys(let keys):
            let tuples = keys.map { values in
                let conditions = zip(self.resolved.key, values).map { column, value in
                    "\(rule.plain(column.name)) = \(sql.bind(value, as: column.type))"
                }
                return "(" + conditions.joined(separator: " AND ") + ")"
            }
            return ["(" + tuples.joined(separator: " OR ") + ")"]
        }
    }
}
