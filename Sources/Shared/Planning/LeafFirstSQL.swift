package import PostgresClient

/// `order: leaf_first` as SQL: a row goes together with all rows that hang on it, or not at all.
///
/// Every statement begins with two sets:
///
/// - `ebb_tree`: the expired rows of the range, and whatever expired hangs on them, wherever it lies: one index lookup a row.
/// - `ebb_free`: those of them on which no row hangs, directly or through others, that is not in the tree.
///
/// Rows are never compared by joins, which estimates of recursions mislead, but by `EXCEPT` and by lookups of single rows.
extension RangeStatement {
    /// The transaction's own number, as rows that it has locked carry it.
    private static let own = "(SELECT pg_current_xact_id()::xid)"

    /// The plain delete that a batch may try before its two statements; nil where it must not, or cannot pay.
    ///
    /// The foreign key refuses it if a row that stays hangs on one that goes. It saves half the time where hardly any row has
    /// children; leftovers have some. The last statement's count is the batch's.
    package func optimistic(_ range: BatchRange) -> [PostgresStatement]? {
        guard let chain = self.resolved.chain, self.resolved.guards.isEmpty, self.generation == 1 else { return nil }
        if case .keys = range { return nil }
        return RuleSQL(resolved: self.resolved, terms: self.terms).readOneTable && self.resolved.facts.isPlainHeap
            ? [TransactionSettings.nestedLoops, self.deleteByKey(range, chain)] : [self.delete(range)]
    }

    /// ``delete(_:pivots:)`` in the order of the key that rows hang on each other by.
    ///
    /// The foreign key looks up each deleted row's key twice, in the table's own index and in that of the references. These
    /// are as large as the table; in any other order, keys like UUIDs hit a random page of each with every lookup.
    ///
    /// The row's conditions are repeated: PostgreSQL looks at them again when a row has just been changed; at its position not
    /// every version does, and where it does, the row is left to verification. CASE keeps them from being looked up by index.
    private func deleteByKey(_ range: BatchRange, _ chain: ReferenceFacts) -> PostgresStatement {
        var sql = SQLText()
        let row = RuleSQL.row
        let conditions = self.rows(range, &sql).conditions.joined(separator: " AND ")
        // An expression: no index may serve a batch but its range's.
        let order = RuleSQL(resolved: self.resolved, terms: self.terms).closed(chain.parentColumns[0])
        return sql.statement(
            """
            WITH ebb_sorted (ebb_position) AS MATERIALIZED (
              SELECT \(row).ctid FROM \(self.table)
              WHERE \(conditions)
              ORDER BY \(order))
            DELETE FROM \(self.table) USING ebb_sorted
            WHERE \(row).ctid = ebb_position AND CASE WHEN \(conditions) THEN true ELSE false END
            """
        )
    }

    /// A batch's two statements; the second one's count is the batch's.
    ///
    /// 1. Locks the tree. What somebody else has locked, another batch's tree or a row that a child is just being inserted
    ///    for, is skipped: waiting would make neighbouring batches run one after the other, and two trees that meet could lock
    ///    each other out.
    /// 2. Deletes, by a new snapshot, what is free among the rows that it has locked. All children are seen: those that were
    ///    inserted before the lock are committed, and behind it none can come. So the foreign key never objects.
    func leafFirst(_ range: BatchRange, _ chain: ReferenceFacts) -> [PostgresStatement] {
        var lock = SQLText()
        let tree = self.tree(range, chain, &lock)
        let row = RuleSQL.row
        let locking = lock.statement(
            """
            \(tree),
            ebb_locked AS MATERIALIZED (
              SELECT FROM \(self.table)
              WHERE \(self.isAmong("ebb_tree"))
              FOR UPDATE OF \(row) SKIP LOCKED)
            SELECT count(*) FROM ebb_locked
            """
        )
        var sql = SQLText()
        let delete = sql.statement(
            """
            \(self.free(range, chain, isLocked: true, &sql))
            DELETE FROM \(self.table)
            WHERE \(self.isAmong("ebb_free"))
            """
        )
        return [locking, delete]
    }

    /// Selects from the rows of a range that are to go, as ``select(_:_:except:suffix:)`` does without an order.
    func selectFree(
        _ output: String,
        _ range: BatchRange,
        _ chain: ReferenceFacts,
        except others: [BatchRange],
        suffix: String
    ) -> PostgresStatement {
        var sql = SQLText()
        let free = self.free(range, chain, except: others, &sql)
        let rule = RuleSQL(resolved: self.resolved, terms: self.terms)
        // What hangs on them may lie elsewhere.
        let conditions = self.rangeConditions(range, rule, &sql) + [self.isAmong("ebb_free")]
        return sql.statement(
            "\(free)\nSELECT \(output) FROM \(self.table)\nWHERE \(conditions.joined(separator: " AND "))\n\(suffix)"
        )
    }

    /// `WITH RECURSIVE …, ebb_free (t, c)`: table and position of the rows that may go.
    ///
    /// - `isLocked`: whether only rows that this transaction has locked may.
    /// - `others`: ranges whose rows stay, and with them what they hang on.
    /// - `pivots`: as for ``delete(_:pivots:)``.
    func free(
        _ range: BatchRange,
        _ chain: ReferenceFacts,
        isLocked: Bool = false,
        except others: [BatchRange] = [],
        pivots: String? = nil,
        _ sql: inout SQLText
    ) -> String {
        let name = self.resolved.facts.name
        let (key, link) = Self.columns(chain)
        let locked = isLocked ? " AND x.xmax = \(Self.own)" : ""
        /// The row above one that stays.
        func above(_ alias: String) -> String {
            """
            SELECT up.t, up.c, up.p FROM \(alias) AS below CROSS JOIN LATERAL (
                SELECT x.tableoid AS t, x.ctid AS c, x.\(link) AS p FROM \(name) AS x
                WHERE x.\(key) = below.p\(locked) OFFSET 0) AS up
            """
        }
        return """
            \(self.tree(range, chain, isLocked: isLocked, except: others, pivots: pivots, &sql)),
            ebb_child AS (
              SELECT child.k, child.p FROM ebb_tree CROSS JOIN LATERAL (
                SELECT x.\(key) AS k, x.\(link) AS p FROM \(name) AS x WHERE x.\(link) = ebb_tree.k OFFSET 0) AS child
              EXCEPT SELECT k, p FROM ebb_tree),
            ebb_held (t, c, p) AS (
              \(above("ebb_child"))
              UNION
              \(above("ebb_held"))),
            ebb_free AS MATERIALIZED (
              SELECT t, c FROM ebb_tree EXCEPT SELECT t, c FROM ebb_held)
            """
    }

    /// `WITH RECURSIVE …, ebb_tree (t, c, k, p)`: table, position, key and parent of the expired rows of a range and of all
    /// expired rows that hang on them.
    private func tree(
        _ range: BatchRange,
        _ chain: ReferenceFacts,
        isLocked: Bool = false,
        except others: [BatchRange] = [],
        pivots: String? = nil,
        _ sql: inout SQLText
    ) -> String {
        let row = RuleSQL.row
        let (key, link) = Self.columns(chain)
        let output = "\(row).tableoid, \(row).ctid, \(row).\(key), \(row).\(link)"
        let common = self.pivotTable(
            pivots.map { .query($0) } ?? .ledger(generation: self.generation, ordinals: nil),
            &sql
        )
        func rows(_ range: BatchRange?) -> (from: [String], conditions: String) {
            let (from, conditions) = self.rows(range, ofAllGroups: true, &sql)
            let locked = isLocked ? ["\(row).xmax = \(Self.own)"] : []
            return (from, (conditions + locked + self.exclusions(others, &sql)).joined(separator: " AND "))
        }
        let first = rows(range)
        let next = rows(nil)
        let child = """
            LATERAL (
                SELECT x.tableoid, x.ctid, x.xmax, x.* FROM \(self.resolved.facts.name) AS x
                WHERE x.\(link) = parent.k OFFSET 0) AS \(row)
            """
        return """
            WITH RECURSIVE \(common.map { $0 + ",\n" } ?? "")ebb_tree (t, c, k, p) AS (
              SELECT \(output) FROM \(([self.table] + first.from).joined(separator: ", "))
              WHERE \(first.conditions)
              UNION
              SELECT \(output) FROM \((["ebb_tree AS parent", child] + next.from).joined(separator: ", "))
              WHERE \(next.conditions))
            """
    }

    private var table: String { "\(self.resolved.facts.name) AS \(RuleSQL.row)" }

    /// That a row is in one of the sets; partitions number their rows each for itself.
    private func isAmong(_ set: String) -> String {
        let row = RuleSQL.row
        let positions = "\(row).ctid = ANY (ARRAY(SELECT c FROM \(set)))"
        return self.resolved.facts.isPlainHeap
            ? positions : "\(positions) AND (\(row).tableoid, \(row).ctid) IN (SELECT t, c FROM \(set))"
    }

    /// What rows hang on, and by what.
    private static func columns(_ chain: ReferenceFacts) -> (key: String, link: String) {
        (SQLText.quoted(chain.parentColumns[0]), SQLText.quoted(chain.columns[0]))
    }
}
