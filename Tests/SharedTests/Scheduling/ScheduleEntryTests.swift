import Foundation
import Shared
import Testing

@Suite struct ScheduleEntryTests {
    private static let targets = """
        targets:
          A: {table: a, key: id, expires_at: e}
          B: {table: b, key: id, max_age: {column: c, age: "${B_AGE}"}, schedule: {cron: "${B_CRON}", timeout: "${B_TIMEOUT}"}}

        """

    private static func load(
        _ schedules: String = "",
        _ variables: [String: String] = [:],
        presets: [String] = []
    ) throws -> [ScheduleEntry] {
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: self.targets + schedules)
        var configuration = EbbConfiguration()
        configuration.file = file
        configuration.presets = presets
        return try ScheduleEntry.load(
            configuration,
            catalog: Catalog.load(configuration),
            environment: Environment(variables)
        )
    }

    @Test func `a schedule of the file has an entry for each of its targets`() throws {
        let entries = try Self.load(
            """
            schedules:
              nightly: {cron: "0 3 * * *", time_zone: Europe/Berlin, targets: [A, B], timeout: 1h, jitter: 5m, catch_up: 24h}
            """,
            ["B_AGE": "1d"]
        )
        #expect(entries.map { "\($0.schedule) \($0.work.name)" } == ["B B", "nightly A", "nightly B"])
        let timing = try #require(entries[1].timing)
        #expect(timing.definition == "0 3 * * * in Europe/Berlin")
        #expect(timing.jitter == .seconds(300))
        #expect(timing.catchUp == .seconds(86_400))
        #expect(timing.timeout == .seconds(3_600))
        #expect(entries.map(\.reason) == ["B_CRON is not set", nil, nil])
    }

    @Test func `a target's own schedule comes from its variables`() throws {
        let variables = ["B_AGE": "1d", "B_CRON": "TZ=Asia/Tokyo @hourly", "B_TIMEOUT": "10m"]
        let entry = try #require(try Self.load("", variables).first)
        #expect(entry.timing?.definition == "TZ=Asia/Tokyo @hourly in Asia/Tokyo")
        #expect(entry.timing?.timeout == .seconds(600))
        #expect(entry.timing?.catchUp == .seconds(300))
        #expect(entry.timing?.jitter == .zero)
        #expect(entry.reason == nil)
    }

    @Test func `a schedule can be switched off, also one that a preset has a time for`() throws {
        let own = try #require(try Self.load("", ["B_AGE": "1d", "B_CRON": "off"]).first)
        #expect(own.timing == nil && own.reason == "B_CRON is off")
        let literal = try Self.load("schedules: {s: {cron: off, targets: A}}").last
        #expect(literal?.timing == nil && literal?.reason == "cron is off")
        let procedure = try Self.load("", ["EBB_MAINTENANCE_CRON": "off"], presets: ["ayon"]).first {
            $0.work.isProcedure
        }
        #expect(procedure?.timing == nil && procedure?.reason == "EBB_MAINTENANCE_CRON is off")
        #expect(try Self.load("", [:], presets: ["ayon"]).first { $0.work.isProcedure }?.timing != nil)
    }

    @Test func `AYON's web actions have slots of minutes, which a variable changes or switches off`() throws {
        func entry(_ variables: [String: String]) throws -> ScheduleEntry {
            let entries = try Self.load("", variables, presets: ["ayon"]).filter { $0.schedule == "WebActions" }
            try #require(entries.map(\.work.name) == ["WebActions"])
            return entries[0]
        }
        let variable = "EBB_AYON_WEB_ACTIONS_CRON"
        let own = try entry([:])
        #expect(own.timing?.cron.text == "*/3 * * * *" && own.reason == nil)
        let changed = try entry([variable: "*/10 * * * *"])
        #expect(changed.timing?.cron.text == "*/10 * * * *" && changed.reason == nil)
        let off = try entry([variable: "off"])
        #expect(off.timing == nil && off.reason == "\(variable) is off")
    }

    @Test func `a target that is off has slots all the same`() throws {
        let entry = try #require(try Self.load("", ["B_CRON": "@hourly"]).first)
        #expect(entry.timing != nil)
        #expect(entry.reason == "B_AGE is not set")
    }

    /// Legal in Distr: credentials of an instance's role, an endpoint with a path, and no log records at all.
    private static let unusable = [
        "REGISTRY_ENABLED": "true", "REGISTRY_S3_BUCKET": "blobs", "REGISTRY_S3_ENDPOINT": "http://storage/s3",
        "LOG_RECORD_ENTRIES_MAX_COUNT": "0",
    ]

    @Test func `a target without a time is not looked at, whatever is wrong with it`() throws {
        for unusable in [Self.unusable, Self.unusable.filter { $0.key != "REGISTRY_S3_ENDPOINT" }] {
            let variables = unusable.merging(["CLEANUP_OIDC_STATE_CRON": "@hourly"]) { $1 }
            let entries = try Self.load("", variables, presets: ["distr"])
            let on = entries.filter { $0.timing != nil }
            #expect(on.map(\.work.name) == ["OIDCState"])
            #expect(on.map(\.reason) == [nil])
            for (name, cron) in [
                ("ArtifactBlob", "CLEANUP_ARTIFACT_BLOB_CRON"),
                ("DeploymentLogRecord", "CLEANUP_DEPLOYMENT_LOG_RECORD_CRON"),
            ] {
                let entry = try #require(entries.first { $0.work.name == name })
                #expect(entry.reason == "\(cron) is not set")
                #expect(entry.knobs == .off(reason: "\(cron) is not set"))
            }
        }
        let off = try #require(try Self.load("", ["B_AGE": "old", "B_CRON": "off"]).first)
        #expect(off.timing == nil && off.reason == "B_CRON is off")
    }

    @Test(arguments: [
        ("ARTIFACT_BLOB", #"REGISTRY_S3_ENDPOINT: "http://storage/s3" is no endpoint"#),
        ("DEPLOYMENT_LOG_RECORD", "target DeploymentLogRecord: keeping 0 rows would delete everything"),
    ])
    func `a target with a time is refused for what is wrong with it`(_ job: String, _ fragment: String) {
        let variables = Self.unusable.merging(["CLEANUP_\(job)_CRON": "@hourly"]) { $1 }
        #expect {
            _ = try Self.load("", variables, presets: ["distr"])
        } throws: { error in
            (error as? ConfigurationError)?.description.hasPrefix(fragment) == true
        }
    }

    @Test func `without a zone the machine's is taken, or TZ`() throws {
        let schedules = "schedules: {s: {cron: '@daily', targets: A}}"
        let entries = try Self.load(schedules, ["TZ": ":America/New_York"])
        #expect(entries.last?.timing?.zone.identifier == "America/New_York")
        #expect(try Self.load(schedules, ["TZ": ""]).last?.timing?.zone == .gmt)
        #expect(try Self.load(schedules).last?.timing?.zone == .current)
    }

    @Test func `Distr's variables are those of its targets, the irregular one included`() throws {
        let entries = try Self.load("", [:], presets: ["distr"])
        #expect(entries.allSatisfy { $0.timing == nil })
        let names = [
            "DEPLOYMENT_REVISION_STATUS", "DEPLOYMENT_TARGET_METRICS", "DEPLOYMENT_LOG_RECORD",
            "DEPLOYMENT_TARGET_LOG_RECORD", "OIDC_STATE", "ORGANIZATION",
            "ARTIFACT_BLOB",
        ]
        #expect(Set(entries.compactMap(\.reason)).isSuperset(of: names.map { "CLEANUP_\($0)_CRON is not set" }))
        for name in names {
            let timeout = name == "OIDC_STATE" ? "CLEANUP_OIDC_STATE_CRON_TIMEOUT" : "CLEANUP_\(name)_TIMEOUT"
            let variables = ["CLEANUP_\(name)_CRON": "0 * * * *", timeout: "10m"]
            let scheduled = try Self.load("", variables, presets: ["distr"]).compactMap(\.timing)
            #expect(scheduled.map(\.timeout) == [.seconds(600)], "\(name)")
        }
    }

    @Test(arguments: [
        ("", ["B_CRON": ""], #"B_CRON: "" is empty; accepted: five fields"#),
        ("", ["B_CRON": "0 3 * *"], #"B_CRON: "0 3 * *" has 4 fields; accepted: five fields"#),
        (
            "", ["B_CRON": "@daily", "B_TIMEOUT": "0"],
            #"B_TIMEOUT: "0" is not greater than zero; accepted: a duration"#
        ),
        ("", ["B_CRON": "@daily", "B_TIMEOUT": ""], #"B_TIMEOUT: "" is not a duration; accepted: "#),
        ("", ["B_CRON": "@daily", "B_AGE": "old"], #"B_AGE: "old" is not a duration"#),
        ("", ["B_CRON": "@daily", "TZ": "Mars"], #"TZ: "Mars" is not a time zone; accepted: a name such as"#),
        ("schedules: {s: {targets: A}}", [:], #"ebb.yaml:4: schedules.s: "cron" is missing"#),
        ("schedules: {s: {cron: '@daily'}}", [:], #"ebb.yaml:4: schedules.s: "targets" is missing"#),
        ("schedules: {s: {cron: '@daily', targets: []}}", [:], "the list is empty"),
        ("schedules: {s: {cron: '@daily', targets: [A, A]}}", [:], #""A" is listed twice"#),
        ("schedules: {s: {cron: '@daily', targets: C}}", [:], "unknown target C"),
        ("schedules: {s: {cron: '@daily', targets: A, every: 1h}}", [:], "schedules.s.every: unknown key"),
        ("schedules: {s: {cron: daily, targets: A}}", [:], #"schedules.s.cron: "daily" has 1 field"#),
        ("schedules: {s: {cron: '@daily', targets: A, jitter: -1s}}", [:], #"schedules.s.jitter: "-1s" is negative"#),
        ("schedules: {s: {cron: '@daily', targets: A, catch_up: long}}", [:], #"catch_up: "long" is not a duration"#),
        ("schedules: {s: {cron: '@daily', targets: A, timeout: 0s}}", [:], #"timeout: "0s" is not greater than zero"#),
        (
            "schedules: {s: {cron: '@daily', targets: A, time_zone: Mars}}", [:],
            #"time_zone: "Mars" is not a time zone"#
        ),
        ("schedules: {1: {cron: '@daily', targets: A}}", [:], #""1" is not a schedule's name"#),
        ("schedules: {B: {cron: '@daily', targets: B}}", [:], "the target B has a schedule of its own"),
        (
            "schedules: {s: {cron: 'TZ=UTC @daily', time_zone: Europe/Berlin, targets: A}}", [:],
            "name different zones; accepted: one of them"
        ),
    ])
    func `what is wrong is refused in a sentence`(
        _ schedules: String,
        _ variables: [String: String],
        _ fragment: String
    ) {
        #expect {
            _ = try Self.load(schedules, variables)
        } throws: { error in
            (error as? ConfigurationError)?.description.contains(fragment) == true
        }
    }

    @Test func `the file may have schedules, and a mistaken key names them`() throws {
        let file = "presets: []\nschedule: {}\n"
        let path = FileManager.default.temporaryDirectory.appending(path: "ebb-\(UUID().uuidString).yaml")
        try Data(file.utf8).write(to: path)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: path) } }
        #expect {
            _ = try EbbConfiguration.load(environment: Environment(["EBB_CONFIG": path.path()]))
        } throws: { error in
            "\(error)".contains("did you mean \"schedules\"?")
        }
    }
}
