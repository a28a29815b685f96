import Shared
import Testing

/// Every shape that the grammar refuses, with the sentence that an operator gets.
@Suite struct CatalogParserRefusalTests {
    struct Refusal: Sendable {
        /// The lines of the target `T`, the first of them line 3 of the file.
        let lines: String
        /// What follows `ebb.yaml:`.
        let sentence: String
    }

    private static let age = "a duration greater than zero, such as 90s, 1h30m or 7d"
    private static let count = "a whole number of at least 1"
    private static let name = "a name of letters, digits and underscores, or any name in double quotes, up to 63 bytes"
    private static let column = "column or table.column; names with other characters in double quotes"
    private static let rule = "max_age: {column: created_at, age: 1h}"

    static let refusals: [Refusal] = [
        Refusal(
            lines: "key: id\n\(rule)",
            sentence: "2: targets.T: \"table\" is missing; accepted: table: the table to clean"
        ),
        Refusal(
            lines: "table: t\n\(rule)",
            sentence: "2: targets.T: \"key\" is missing; "
                + "accepted: key: the column, or the list of columns, that identifies a row"
        ),
        Refusal(
            lines: "table: t\nkey: id",
            sentence: "2: targets.T: the target has no rule and would delete every row; "
                + "accepted: one or more of max_age, expires_at, keep_newest, unreferenced, where"
        ),
        Refusal(
            lines: "table: a.b\nkey: id\n\(rule)",
            sentence: "3: targets.T.table: \"a.b\" is not a name; accepted: \(name)"
        ),
        Refusal(
            lines: "table: \nkey: id\n\(rule)",
            sentence: "3: targets.T.table: nothing is not a value; accepted: \(name)"
        ),
        Refusal(
            lines: "table: [t]\nkey: id\n\(rule)",
            sentence: "3: targets.T.table: a list is not a value; accepted: \(name)"
        ),
        Refusal(
            lines: "table: \(String(repeating: "a", count: 64))\nkey: id\n\(rule)",
            sentence: "3: targets.T.table: \"\(String(repeating: "a", count: 64))\" is not a name; accepted: \(name)"
        ),
        Refusal(
            lines: "table: t\nschema: 1a\nkey: id\n\(rule)",
            sentence: "4: targets.T.schema: \"1a\" is not a name; accepted: \(name)"
        ),
        Refusal(
            lines: "table: t\nkey: []\n\(rule)",
            sentence: "4: targets.T.key: the list is empty; "
                + "accepted: the column, or the list of columns, that identifies a row"
        ),
        Refusal(
            lines: "table: t\nkey: [id, id]\n\(rule)",
            sentence: "4: targets.T.key: \"id\" is listed twice; accepted: each column once"
        ),
        Refusal(
            lines: "table: t\nkey: {a: b}\n\(rule)",
            sentence: "4: targets.T.key: a mapping is not a value; "
                + "accepted: the column, or the list of columns, that identifies a row"
        ),
        Refusal(
            lines: "table: t\nkey: a b\n\(rule)",
            sentence: "4: targets.T.key: \"a b\" is not a column; accepted: \(column)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_ages: 1",
            sentence: "5: targets.T.max_ages: unknown key; did you mean \"max_age\"? "
                + "accepted: schema, in, table, key, joins, max_age, expires_at, keep_newest, where, protect, unreferenced, order, "
                + "strategy, defer, drain_first, after, schedule"
        ),
        Refusal(
            lines: "removed: gone",
            sentence: "3: targets.T.removed: unknown key; "
                + "accepted: schema, in, table, key, joins, max_age, expires_at, keep_newest, where, protect, unreferenced, order, "
                + "strategy, defer, drain_first, after, schedule"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {column: created_at, age: ten}",
            sentence: "5: targets.T.max_age.age: \"ten\" is not a duration; "
                + "accepted: a number and a unit (ns, us, ms, s, m, h, d), or several, such as 90s, 1h30m or 7d"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age:\n  column: created_at\n  age: -1h",
            sentence: "7: targets.T.max_age.age: \"-1h\" is not greater than zero; accepted: \(age)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {column: created_at, age: 0}",
            sentence: "5: targets.T.max_age.age: \"0\" is not greater than zero; accepted: \(age)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {column: created_at}",
            sentence:
                "5: targets.T.max_age: \"age\" is missing; accepted: age: \(age), or ${NAME} or ${NAME:-value} for a variable, "
                + "also with a unit behind it"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {age: 1h}",
            sentence:
                "5: targets.T.max_age: \"column\" is missing; accepted: column: "
                + "a time column of the target's table or of a joined one"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: 90d",
            sentence: "5: targets.T.max_age: \"90d\" is not a mapping; accepted: lines of \"key: value\""
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {column: created_at, agee: 1h}",
            sentence: "5: targets.T.max_age.agee: unknown key; did you mean \"age\"? accepted: column, age"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {column: u.created_at, age: 1h}",
            sentence: "5: targets.T.max_age.column: \"u.created_at\" is a column of a table that is not joined; "
                + "accepted: a column of t"
        ),
        Refusal(
            lines: "table: t\nkey: id\nmax_age: {column: c, age: \"${AGE:-ten}\"}",
            sentence: "5: targets.T.max_age.age: \"ten\" is not a duration; "
                + "accepted: a number and a unit (ns, us, ms, s, m, h, d), or several, such as 90s, 1h30m or 7d"
        ),
        Refusal(
            lines: "table: t\nkey: id\nwhere: a\norder: newest_first",
            sentence: "6: targets.T.order: \"newest_first\" is not an order; "
                + "accepted: leaf_first(column), with the column by which a row refers to another of its table"
        ),
        Refusal(
            lines:
                "table: t\nkey: id\nexpires_at: x\norder: leaf_first(p)\ndrain_first: {c: {key: id, joins: {t: t.id = c.t_id}}}",
            sentence: "7: targets.T.drain_first: drain_first would delete children of rows that leaf_first keeps; "
                + "accepted: one of the two in a target"
        ),
        Refusal(
            lines: "table: t\nkey: id\nwhere: a\ndrain_first: {c: {key: id, joins: {t: t.id = c.t_id}}}",
            sentence:
                "6: targets.T.drain_first: children can only follow a rule of max_age and expires_at by own columns; "
                + "accepted: that"
        ),
        Refusal(
            lines: "table: t\nkey: id\nexpires_at: x\ndrain_first: {c: {key: id, joins: {u: u.id = c.u_id}}}",
            sentence: "6: targets.T.drain_first.c: the child c is not joined to t; "
                + "accepted: joins that lead from c to it"
        ),
        Refusal(
            lines:
                "table: t\nkey: id\nexpires_at: x\ndrain_first: {c: {if_exists: maybe, key: id, joins: {t: t.id = c.t_id}}}",
            sentence: "6: targets.T.drain_first.c.if_exists: \"maybe\" is neither true nor false; "
                + "accepted: true or false (also 1, 0, yes, no, on, off, t, f, y, n)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nexpires_at: x\ndefer: [a b]",
            sentence: "6: targets.T.defer: \"a b\" is not a name; accepted: \(name)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nkeep_newest: {count: -1, per: a, order: b}",
            sentence: "5: targets.T.keep_newest.count: \"-1\" is negative; accepted: \(count)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nkeep_newest: {count: 1.5, per: a, order: b}",
            sentence: "5: targets.T.keep_newest.count: \"1.5\" is not a whole number; accepted: \(count)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nkeep_newest: {count: 1, order: b}",
            sentence: "5: targets.T.keep_newest: \"per\" is missing; "
                + "accepted: per: the column, or the list of columns, that groups rows"
        ),
        Refusal(
            lines: "table: t\nkey: id\nkeep_newest: {count: 1, per: [u.a], order: b}",
            sentence:
                "5: targets.T.keep_newest.per: \"u.a\" is a column of a table that is not joined; accepted: a column of t"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {u: u.id = t.u_id}\nkeep_newest: {count: 1, per: a, order: [u.b]}",
            sentence: "6: targets.T.keep_newest.order: \"u.b\" is a column of a joined table; "
                + "accepted: a column of t, the target's own"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {u: u.id t.u_id}\n\(rule)",
            sentence: "5: targets.T.joins.u: \"u.id t.u_id\" is not a join condition; "
                + "accepted: table.column = table.column, or several with AND between them"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {u: u.id = t.u_id OR true}\n\(rule)",
            sentence: "5: targets.T.joins.u: \"u.id = t.u_id OR true\" is not a join condition; "
                + "accepted: table.column = table.column, or several with AND between them"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {u: u.id = v.u_id}\n\(rule)",
            sentence:
                "5: targets.T.joins.u: \"v.u_id\" is a column of a table that is not joined; accepted: a column of t, u"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {u: t.a = t.b}\n\(rule)",
            sentence: "5: targets.T.joins.u: \"t.a = t.b\" does not tie u to another table; "
                + "accepted: a column of u on one side only"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {t: t.a = t.b}\n\(rule)",
            sentence: "5: targets.T.joins.t: \"t\" is already part of the rule; accepted: each table once"
        ),
        Refusal(
            lines: "table: t\nkey: id\njoins: {a b: u.a = t.b}\n\(rule)",
            sentence: "5: targets.T.joins.a b: \"a b\" is not a name; accepted: \(name)"
        ),
        Refusal(
            lines: "table: t\nkey: id\nwhere: \" \"",
            sentence: "5: targets.T.where: \" \" is empty; accepted: an SQL condition on the target's columns"
        ),
        Refusal(
            lines: "table: t\nkey: id\nexpires_at: [a, b]",
            sentence: "5: targets.T.expires_at: a list is not a value; accepted: \(column)"
        ),
        Refusal(
            lines: "table: t\nkey: id\n\(rule)\nstrategy: blocks",
            sentence:
                "6: targets.T.strategy: \"blocks\" is not a strategy; accepted: block, window, id_range, group, key"
        ),
        Refusal(
            lines: "table: t\nkey: id\n\(rule)\nstrategy: group",
            sentence: "6: targets.T.strategy: \"group\" needs keep_newest; accepted: another strategy, or none"
        ),
        Refusal(
            lines: "table: t\nkey: id\nwhere: a\nstrategy: window",
            sentence:
                "6: targets.T.strategy: \"window\" needs max_age or expires_at by a column of "
                + "the target's own table; accepted: another strategy, or none"
        ),
        Refusal(
            lines: "table: t\nkey: [a, b]\n\(rule)\nstrategy: id_range",
            sentence:
                "6: targets.T.strategy: \"id_range\" needs a key of one column; accepted: another strategy, or none"
        ),
        Refusal(
            lines: "table: t\nkey: id\nkey: id",
            sentence: "4: the key \"key\" appears more than once in one mapping"
        ),
    ]

    @Test(arguments: refusals)
    func `a bad target is refused with file, line and path`(_ refusal: Refusal) {
        let lines = refusal.lines.split(separator: "\n").map { "    \($0)\n" }.joined()
        #expect(throws: ConfigurationError("ebb.yaml:\(refusal.sentence)")) {
            try CatalogParserTests.targets("targets:\n  T:\n" + lines)
        }
    }

    @Test(arguments: [
        Refusal(
            lines: "targets: [a]",
            sentence: "1: targets: a list is not a mapping; accepted: lines of \"key: value\""
        ),
        Refusal(
            lines: "targets:\n  T: t",
            sentence: "2: targets.T: \"t\" is not a mapping; accepted: lines of \"key: value\""
        ),
        Refusal(
            lines: "targets:\n  a b: {table: t}",
            sentence: "2: targets.a b: \"a b\" is not a target's name; "
                + "accepted: a letter and then up to 62 letters, digits, underscores or hyphens"
        ),
    ])
    func `what is no target at all is refused`(_ refusal: Refusal) {
        #expect(throws: ConfigurationError("ebb.yaml:\(refusal.sentence)")) {
            try CatalogParserTests.targets(refusal.lines)
        }
    }
}
