import Testing

/// Each shipped target on AYON's own tables, against an oracle in plain SQL.
///
/// Serialized: some hundred thousand rows at a time are enough for the machine.
@Suite(.serialized, .timeLimit(.minutes(10))) struct `AYON's targets` {
    struct Case: Sendable, CustomTestStringConvertible {
        var target: String
        var table: String
        var seed: AyonSeed
        var oracles: [AyonOracle]
        /// How many rows have to go at least, or the seed leaves nothing to do.
        var least = 1
        /// A table that loses rows by cascade.
        var cascaded: String?
        var inProjects = false

        var testDescription: String { self.target }

        static let all: [Case] = [
            Case(
                target: "InactiveWorkers",
                table: "hosts",
                seed: AyonSeed(hosts: 2_000),
                oracles: [.inactiveWorkers],
                least: 500
            ),
            Case(
                target: "OldActionConfigs",
                table: "action_config",
                seed: AyonSeed(configs: 30_000),
                oracles: [.oldActionConfigs],
                least: 2_000
            ),
            Case(
                target: "WebActions",
                table: "events",
                seed: AyonSeed(events: 20_000, launchers: 20_000),
                oracles: [.webActions],
                least: 2_000
            ),
            Case(
                target: "OldLogs",
                table: "events",
                seed: AyonSeed(events: 20_000, logs: 400_000),
                oracles: [.logs],
                least: 150_000
            ),
            Case(
                target: "OldEvents",
                table: "events",
                seed: AyonSeed(events: 430_000, logs: 20_000),
                oracles: [.events],
                least: 100_000
            ),
            Case(
                target: "OldSites",
                table: "sites",
                seed: AyonSeed(events: 50_000, sites: 800),
                oracles: [.siteUse, .oldSites],
                least: 100
            ),
            Case(
                target: "UnusedActivities",
                table: "activities",
                seed: AyonSeed(entities: 3_000, activities: 50_000, files: 1_000),
                oracles: [.unusedActivities],
                least: 20_000,
                cascaded: "activity_references",
                inProjects: true
            ),
            Case(
                target: "UnusedThumbnails",
                table: "thumbnails",
                seed: AyonSeed(entities: 1_000, activities: 100, files: 1_000, thumbnails: 10_000),
                oracles: [.unusedThumbnails],
                least: 5_000,
                inProjects: true
            ),
            Case(
                target: "DeadLinks",
                table: "links",
                seed: AyonSeed(entities: 3_000, links: 50_000),
                oracles: [.deadLinks],
                least: 20_000,
                inProjects: true
            ),
            Case(target: "OldUserStats", table: "user_stats", seed: AyonSeed(), oracles: [.oldUserStats], least: 60),
            Case(
                target: "OldTrafficStats",
                table: "traffic_stats",
                seed: AyonSeed(),
                oracles: [.oldTrafficStats],
                least: 180
            ),
        ]
    }

    @Test(arguments: Case.all) func `leave what has to stay, at full size`(_ test: Case) async throws {
        try await withAyon(test.seed) { ayon in
            try await ayon.predict(test.oracles)
            let before = try await ayon.ayonTables()
            let runs = try await ayon.cleanEach(test.target)
            let after = try await ayon.ayonTables()
            try await ayon.expectAyon()

            #expect(runs.map(\.schema).sorted() == (test.inProjects ? AyonProject.all.map(\.schema) : ["public"]))
            var own = 0
            var cascaded = 0
            for run in runs {
                #expect(run.state == "finished")
                #expect(run.batches.dead == 0)
                func lost(_ table: String) -> Int {
                    before["\(run.schema).\(table)", default: 0] - after["\(run.schema).\(table)", default: 0]
                }
                #expect(run.rows.deleted == lost(test.table))
                #expect(run.rows.cascaded == (test.cascaded.map(lost) ?? 0))
                own += run.rows.deleted
                cascaded += run.rows.cascaded
            }
            #expect(own >= test.least, "the seed leaves nothing to do")
            #expect(before.values.reduce(0, +) - after.values.reduce(0, +) == own + cascaded)
            try await ayon.expectQueueAtRest()
        }
    }

    /// Two targets share what they know.
    @Test func `leave settings of sites and users that are there`() async throws {
        try await withAyon(AyonSeed(sites: 800)) { ayon in
            try await ayon.predict([.unusedSettings])
            let settings = try await ayon.cleanEach("UnusedSiteSettings")
            let roots = try await ayon.cleanEach("UnusedRoots")
            #expect(settings.allSatisfy { $0.rows.deleted > 100 })
            #expect(roots.allSatisfy { $0.rows.deleted > 100 })
            try await ayon.expectAyon()
        }
    }

    /// Cleans projects with a target and a group of indexes.
    private static func cleanProjects(_ ayon: Sandbox, skippingArchived: Bool) async throws {
        let outcome = try await ayon.producer(
            "maintenance",
            "--only",
            "DeadLinks,ProjectIndexes",
            environment: ["EBB_AYON_SKIP_ARCHIVED": "\(skippingArchived)", "EBB_AYON_ANNOUNCE": "false"]
        )
        #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
    }

    private static func indexes(_ ayon: Sandbox, of project: AyonProject) async throws -> Int {
        try await ayon.number("SELECT count(*) FROM pg_indexes WHERE schemaname = '\(project.schema)'")
    }

    @Test func `leave skeletons alone, and archived projects where that is asked for`() async throws {
        try await withAyon(AyonSeed(links: 600)) { ayon in
            let others = [AyonProject.archived, .skeleton]
            for project in others { try await ayon.createProject(project) }
            try await ayon.predict([.deadLinks], untouched: others)
            let bare = try await Self.indexes(ayon, of: .skeleton)
            try await ayon.withWorkers(1) { _ in
                try await Self.cleanProjects(ayon, skippingArchived: true)
                try await ayon.expectAyon(AyonProject.all + others)
                #expect(try await Self.indexes(ayon, of: AyonProject.all[0]) == bare + 18)
                #expect(try await Self.indexes(ayon, of: .archived) == bare)

                try await ayon.apply(.deadLinks, to: [.archived])
                try await Self.cleanProjects(ayon, skippingArchived: false)
                try await ayon.expectAyon(AyonProject.all + others)
                #expect(try await Self.indexes(ayon, of: .archived) == bare + 18)
            }
            #expect(try await Self.indexes(ayon, of: .skeleton) == bare)
            // There was something to do, in the skeleton as well: their seeds are alike.
            #expect(try await ayon.number("SELECT count(*) FROM \(AyonProject.archived.schema).links") < 600)
        }
    }

    /// Of AYON's variables only one turns a target off by its absence; Ebb's own one turns a target on.
    @Test func `are on and off as AYON has them`() async throws {
        try await withAyon(.little) { ayon in
            let off = try await ayon.run(
                .producer,
                ["cleanup", "OldEvents", "UnusedActionConfigs", "UnusedObjects"],
                environment: ["AYON_EVENT_RETENTION_DAYS": nil]
            )
            #expect(off.status == .exited(0), "\(off.errors)")
            #expect(
                off.output == """
                    OldEvents: off: AYON_EVENT_RETENTION_DAYS is not set
                    UnusedActionConfigs: off: EBB_AYON_ACTION_CONFIG_DAYS is not set
                    UnusedObjects: off: AYON_DEFAULT_PROJECT_STORAGE_TYPE is local

                    """
            )
            let on = try await ayon.clean("UnusedActionConfigs", environment: ["EBB_AYON_ACTION_CONFIG_DAYS": "100"])
            #expect(on.rows.deleted > 100)
            #expect(
                try await ayon.number(
                    "SELECT count(*) FROM action_config, seed WHERE last_used < extract(epoch FROM moment - interval '101 days')"
                ) == 0
            )
        }
    }
}
