import Shared
import Testing

@Suite struct CatalogParserTests {
    /// The example of the design, word for word; operators copy it.
    private static let example = """
        presets: [distr]                       # which shipped catalogues are on
        targets:
          AuditLog:                            # the five-line form
            table: audit_log
            key: id
            max_age: {column: created_at, age: 90d}
          DeploymentRevisionStatus:            # as in the distr preset: everything the grammar has to say
            table: deploymentrevisionstatus
            key: id
            joins: {deploymentrevision: deploymentrevision.id = deploymentrevisionstatus.deployment_revision_id}
            max_age: {column: created_at, age: ${STATUS_ENTRIES_MAX_AGE}}
            keep_newest: {count: 1, per: [deploymentrevision.deployment_id], order: [created_at]}
        leases: {duration: 15s}
        """

    static func targets(_ yaml: String) throws -> [Target] {
        try Catalog.load(presets: [], file: ConfigurationFile(name: "ebb.yaml", yaml: yaml)).targets
    }

    @Test func `the example of the design is read`() throws {
        let targets = try Self.targets(Self.example)
        #expect(
            targets == [
                Target(
                    name: "AuditLog",
                    table: "audit_log",
                    key: ["id"],
                    rule: Rule(maxAge: Rule.MaxAge(column: "created_at", age: .literal("90d")))
                ),
                Target(
                    name: "DeploymentRevisionStatus",
                    table: "deploymentrevisionstatus",
                    key: ["id"],
                    joins: [
                        Join(
                            table: "deploymentrevision",
                            conditions: [
                                Join.Equality(
                                    left: Column(table: "deploymentrevision", name: "id"),
                                    right: Column(name: "deployment_revision_id")
                                )
                            ]
                        )
                    ],
                    rule: Rule(
                        maxAge: Rule.MaxAge(column: "created_at", age: .variable("STATUS_ENTRIES_MAX_AGE")),
                        keepNewest: Rule.KeepNewest(
                            count: .literal("1"),
                            per: [Column(table: "deploymentrevision", name: "deployment_id")],
                            order: ["created_at"]
                        )
                    )
                ),
            ]
        )
    }

    @Test func `everything else the grammar has is read`() throws {
        let targets = try Self.targets(
            #"""
            targets:
              All:
                schema: audit
                table: '"Odd ""table"""'
                key: [tenant, '"Odd ""table""".id']
                joins:
                  a: a.id = "Odd ""table""".a_id AND tenant = a.tenant
                  '"b c"': '"b c".id=a."b id"'
                expires_at: expires_at
                keep_newest: {count: "${KEEP}", per: ['"b c".group', tenant], order: [created_at, id]}
                where: "state = 'done'"
                strategy: group
            """#
        )
        let odd = Target(
            name: "All",
            schema: "audit",
            table: "Odd \"table\"",
            key: ["tenant", "id"],
            joins: [
                Join(
                    table: "a",
                    conditions: [
                        Join.Equality(left: Column(table: "a", name: "id"), right: Column(name: "a_id")),
                        Join.Equality(left: Column(name: "tenant"), right: Column(table: "a", name: "tenant")),
                    ]
                ),
                Join(
                    table: "b c",
                    conditions: [
                        Join.Equality(left: Column(table: "b c", name: "id"), right: Column(table: "a", name: "b id"))
                    ]
                ),
            ],
            rule: Rule(
                expiresAt: "expires_at",
                keepNewest: Rule.KeepNewest(
                    count: .variable("KEEP"),
                    per: [Column(table: "b c", name: "group"), Column(name: "tenant")],
                    order: ["created_at", "id"]
                ),
                where: "state = 'done'"
            ),
            strategy: .group
        )
        #expect(targets == [odd])
    }

    @Test func `children that are drained first take their parent's rule through a join`() throws {
        let parent = try #require(
            try Self.targets(
                """
                targets:
                  Parent:
                    schema: s
                    table: parents
                    key: id
                    max_age: {column: deleted_at, age: ${AGE:-30d}}
                    defer: [a_fkey, b_fkey]
                    drain_first:
                      children: {key: [a, b], joins: {parents: parents.id = children.parent_id}}
                """
            ).first
        )
        #expect(parent.deferred == ["a_fkey", "b_fkey"])
        let join = Join.Equality(left: Column(table: "parents", name: "id"), right: Column(name: "parent_id"))
        let child = Target(
            name: "Parent.children",
            schema: "s",
            table: "children",
            key: ["a", "b"],
            joins: [Join(table: "parents", conditions: [join])],
            rule: Rule(
                maxAge: Rule.MaxAge(
                    column: Column(table: "parents", name: "deleted_at"),
                    age: .variable("AGE", otherwise: "30d")
                )
            )
        )
        #expect(parent.drainFirst == [child])
    }

    @Test(arguments: ["", "targets:\n", "targets: {}\n", "vacuum: off\n"])
    func `a file without targets has none`(_ yaml: String) throws {
        #expect(try Self.targets(yaml).isEmpty)
    }
}
