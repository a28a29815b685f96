/// A target matched with its table: every column it names exists and has a type that its rule can work with.
///
/// What is refused here is refused before anything is written.
package struct ResolvedTarget: Sendable {
    package let target: Target
    package let facts: TableFacts
    package let key: [ColumnFacts]
    /// The columns of `max_age` and of `expires_at`; nil without that rule.
    package let age: TimeColumn?
    package let expiry: TimeColumn?
    /// The columns of `keep_newest.per`; empty without that rule.
    package let group: [GroupColumn]
    /// The columns of `keep_newest.order`; empty without that rule.
    package let order: [ColumnFacts]
    /// The foreign keys by which `protect` keeps rows.
    package let guards: [ReferenceFacts]
    /// The foreign key of `order: leaf_first`, from the table to itself; nil without.
    package let chain: ReferenceFacts?

    /// A column that rows are grouped by.
    package struct GroupColumn: Sendable, Equatable {
        /// The position of the joined table it belongs to; nil for the target's own table.
        package var join: Int?
        package var facts: ColumnFacts
    }

    /// A column that says how old a row is, or when it expires.
    package struct TimeColumn: Sendable, Equatable {
        /// The position of the joined table it belongs to; nil for the target's own table.
        package var join: Int?
        package var facts: ColumnFacts
        /// The type that a moment is bound as; see `ColumnFacts.timeType`.
        package var type: String
    }

    /// - Throws: `PlanningError` naming the target, the table and the column at fault.
    package init(_ target: Target, facts: TableFacts) throws(PlanningError) {
        self.target = target
        self.facts = facts
        func own(_ name: String) throws(PlanningError) -> ColumnFacts {
            guard let column = facts.column(name) else {
                throw .missingColumn(
                    target: target.name,
                    table: facts.name,
                    column: name,
                    known: facts.columns.map(\.name)
                )
            }
            return column
        }
        func time(_ column: Column, rule: String) throws(PlanningError) -> TimeColumn {
            let found = try Self.find(column, of: target, facts)
            guard let type = found.facts.timeType else {
                throw PlanningError(
                    "target \(target.name): \(rule) column \(SQLText.quoted(column.name)) has type \(found.facts.type); "
                        + "accepted: timestamp, timestamptz, date, or integer or bigint for seconds since 1970"
                )
            }
            return TimeColumn(join: found.join, facts: found.facts, type: type)
        }
        var key: [ColumnFacts] = []
        for name in target.key { key.append(try own(name)) }
        guard facts.isUnique(target.key) else {
            let names = target.key.map { SQLText.quoted($0) }.joined(separator: ", ")
            throw PlanningError(
                "target \(target.name): key (\(names)) of \(facts.name) has no unique index; "
                    + "name the columns of its primary key or of a unique index without a predicate"
            )
        }
        if let reference = facts.references.first(where: { $0.oid == facts.oid && $0.action == .cascade }) {
            let parent =
                reference.parent == facts.oid
                ? "the table itself" : "\(reference.parentName), which loses rows with it,"
            throw PlanningError(
                "target \(target.name): deleting a row of \(facts.name) deletes others of it, expired or not, because "
                    + "\(reference.constraint) refers to \(parent) with ON DELETE CASCADE; make it NO ACTION first"
            )
        }
        // Uniqueness does not hold for NULLs, and no lookup finds them.
        if let column = key.first(where: { !$0.isNotNull }) {
            throw PlanningError(
                "target \(target.name): key column \(SQLText.quoted(column.name)) of \(facts.name) may be NULL; "
                    + "name the columns of its primary key or of a unique index over NOT NULL columns"
            )
        }
        self.key = key
        self.age = try target.rule.maxAge.map { (rule) throws(PlanningError) in try time(rule.column, rule: "max_age") }
        self.expiry = try target.rule.expiresAt.map { (column) throws(PlanningError) in
            try time(column, rule: "expires_at")
        }
        guard target.joins.isEmpty || target.rule.keepNewest != nil || self.age?.join != nil || self.expiry?.join != nil
        else {
            throw PlanningError(
                "target \(target.name): no column of a joined table is used; take the joins out, or use one in "
                    + "keep_newest.per, max_age or expires_at"
            )
        }
        for (position, join) in target.joins.enumerated() { try Self.check(join, at: position, of: target, facts) }
        var group: [GroupColumn] = []
        for column in target.rule.keepNewest?.per ?? [] { group.append(try Self.find(column, of: target, facts)) }
        self.group = group
        var order: [ColumnFacts] = []
        for name in target.rule.keepNewest?.order ?? [] { order.append(try own(name)) }
        self.order = order
        self.guards = try Self.guards(of: target, facts)
        self.chain = try Self.chain(of: target, facts)
        for kept in facts.kept { _ = try own(kept.own) }
    }

    private static func chain(of target: Target, _ facts: TableFacts) throws(PlanningError) -> ReferenceFacts? {
        guard let column = target.leafFirst else { return nil }
        let found = facts.directReferences.first {
            $0.oid == facts.oid && $0.columns == [column] && $0.parentColumns == target.key
                && [.noAction, .restrict].contains($0.action)
        }
        guard let found else {
            throw PlanningError(
                "target \(target.name): leaf_first needs a foreign key of \(facts.name) from \(SQLText.quoted(column)) to its own key "
                    + "(\(target.key.map { SQLText.quoted($0) }.joined(separator: ", "))) with ON DELETE NO ACTION or RESTRICT; "
                    + "there is none"
            )
        }
        if let index = found.createIndex {
            throw PlanningError(
                "target \(target.name): leaf_first would search all of \(facts.name) for what hangs on each row, because "
                    + "\(found.constraint) has no index; run \(index) first"
            )
        }
        if found.isFiltered {
            throw PlanningError(
                "target \(target.name): row security hides rows of \(facts.name) from this role, so that leaf_first cannot see "
                    + "what hangs on others; give the role BYPASSRLS, or a policy that shows it every row"
            )
        }
        return found
    }

    private static func guards(of target: Target, _ facts: TableFacts) throws(PlanningError) -> [ReferenceFacts] {
        var guards: [ReferenceFacts] = []
        for name in target.protect {
            let keys = facts.directReferences.filter { $0.table == name }
            guard !keys.isEmpty else {
                let known = Set(facts.directReferences.map(\.table)).sorted()
                throw PlanningError(
                    "target \(target.name): protect names \(SQLText.quoted(name)), which has no foreign key to \(facts.name); "
                        + (known.isEmpty ? "no table has one" : "accepted: \(known.joined(separator: ", "))")
                )
            }
            if let hidden = keys.first(where: \.isFiltered) {
                throw PlanningError(
                    "target \(target.name): row security hides rows of \(hidden.name) from this role, so that protect cannot see "
                        + "what they refer to; give the role BYPASSRLS, or a policy that shows it every row"
                )
            }
            guards += keys
        }
        return guards
    }

    /// Whether the rows of a referring table go before the target's, in a run of their own.
    func isDrained(_ reference: ReferenceFacts) -> Bool {
        reference.schema == self.facts.schema && self.target.drainFirst.contains { $0.table == reference.table }
    }

    /// The time column whose ranges can be windows; see `Rule.timeColumn`.
    package var timeColumn: ColumnFacts? { self.target.rule.timeColumn.flatMap { self.facts.column($0.name) } }

    /// How many groups `keep_newest` has, by the statistics; nil without the rule, or before the first ANALYZE.
    var groupCount: Double? {
        let counts = self.group.compactMap(\.facts.distinct)
        guard !counts.isEmpty, counts.count == self.group.count else { return nil }
        return min(counts.reduce(1, *), max(self.facts.rows, 1))
    }

    /// A column of the target or of a joined table, found among the facts.
    static func find(_ column: Column, of target: Target, _ facts: TableFacts) throws(PlanningError) -> GroupColumn {
        let join = column.table.flatMap { table in target.joins.firstIndex { $0.table == table } }
        let columns = join.map { facts.joined[$0].columns } ?? facts.columns
        guard let found = columns.first(where: { $0.name == column.name }) else {
            throw .missingColumn(
                target: target.name,
                table: join.map { facts.joined[$0].name } ?? facts.name,
                column: column.name,
                known: columns.map(\.name)
            )
        }
        return GroupColumn(join: join, facts: found)
    }

    /// A join must name existing columns and find at most one row: with two, one row would belong to two groups.
    private static func check(
        _ join: Join,
        at position: Int,
        of target: Target,
        _ facts: TableFacts
    ) throws(PlanningError) {
        var ownColumns: Set<String> = []
        for equality in join.conditions {
            for side in [equality.left, equality.right] {
                let found = try self.find(side, of: target, facts)
                guard found.join.map({ $0 <= position }) ?? true else {
                    throw PlanningError(
                        "target \(target.name): the join of \(join.table) uses \(side), which is joined after it"
                    )
                }
                if found.join == position { ownColumns.insert(side.name) }
            }
        }
        let joined = facts.joined[position]
        guard joined.indexes.contains(where: { $0.isUsable && $0.isUnique && Set($0.columns).isSubset(of: ownColumns) })
        else {
            throw PlanningError(
                "target \(target.name): the join of \(join.table) can find more than one row, because its columns hold "
                    + "no unique index of \(joined.name); join by its key"
            )
        }
    }
}

extension Target {
    /// Its table as SQL names it, with its schema where it has one.
    var tableName: String { self.schema.map { SQLText.quoted($0, self.table) } ?? SQLText.quoted(self.table) }
}
