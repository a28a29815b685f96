import Shared
import Testing

@Suite struct DefinitionHashTests {
    private static let target = Target(
        name: "T",
        table: "t",
        key: ["id"],
        joins: [
            Join(
                table: "u",
                conditions: [Join.Equality(left: Column(table: "u", name: "id"), right: Column(name: "u_id"))]
            )
        ],
        rule: Rule(
            maxAge: Rule.MaxAge(column: "created_at", age: .literal("90d")),
            keepNewest: Rule.KeepNewest(count: .literal("1"), per: [Column(name: "g")], order: ["created_at"])
        )
    )

    struct Change: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let apply: @Sendable (inout Target) -> Void

        init(_ description: String, _ apply: @escaping @Sendable (inout Target) -> Void) {
            self.testDescription = description
            self.apply = apply
        }
    }

    @Test(arguments: [
        Change("table") { $0.table = "u" },
        Change("unreferenced") { $0.unreferenced = [Unreferenced(table: "s", column: "t_id")] },
        Change("key") { $0.key = ["id", "x"] },
        Change("no join") { $0.joins = [] },
        Change("join column") { $0.joins[0].conditions[0].right.name = "v_id" },
        Change("age column") { $0.rule.maxAge?.column = "updated_at" },
        Change("no age") { $0.rule.maxAge = nil },
        Change("expires_at") { $0.rule.expiresAt = "e" },
        Change("group") { $0.rule.keepNewest?.per = [Column(table: "u", name: "g")] },
        Change("order") { $0.rule.keepNewest?.order = ["created_at", "id"] },
        Change("no keep_newest") { $0.rule.keepNewest = nil },
        Change("where") { $0.rule.where = "a" },
        Change("protect") { $0.protect = ["n"] },
        Change("leaf_first") { $0.leafFirst = "parent" },
    ])
    func `another definition has another hash`(_ change: Change) {
        var changed = Self.target
        change.apply(&changed)
        #expect(changed.definitionHash != Self.target.definitionHash)
    }

    @Test(arguments: [
        Change("age") { $0.rule.maxAge?.age = .literal("1h") },
        Change("age from a variable") { $0.rule.maxAge?.age = .variable("AGE") },
        Change("count") { $0.rule.keepNewest?.count = .literal("5") },
        Change("strategy") { $0.strategy = .block },
    ])
    func `other values or another cut have the same hash`(_ change: Change) {
        var changed = Self.target
        change.apply(&changed)
        #expect(changed.definitionHash == Self.target.definitionHash)
    }

    @Test func `a key's columns are not taken for a rule`() {
        let rule = Rule(expiresAt: "e", where: "a")
        let short = Target(name: "T", table: "t", key: ["id"], rule: rule)
        let long = Target(name: "T", table: "t", key: ["id", "expires_at", "e"], rule: Rule(where: "a"))
        #expect(short.definitionHash != long.definitionHash)
    }

    @Test func `the hash is the same in every process and version`() {
        let target = Target(name: "T", table: "t", key: ["id"], rule: Rule(expiresAt: "e"))
        #expect(target.definitionHash == "5546db494f6cb30d")
    }
}
