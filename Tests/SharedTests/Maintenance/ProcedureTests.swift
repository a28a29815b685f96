import FoundationEssentials
import Testing

@testable import Shared

@Suite struct ProcedureTests {
    private static let targets = """
        presets: []
        targets:
          Logs: {table: logs, key: id, max_age: {column: at, age: 1d}}
          Files: {table: files, key: id, max_age: {column: at, age: 1d}}
        indexes:
          Missing: {schema: public, indexes: [{name: logs_at, table: logs, definition: "(at)"}]}
        hooks:
          Push: {command: {argv: [/bin/true]}}

        """

    private func load(_ procedure: String, _ variables: [String: String] = [:]) throws -> Procedure? {
        try withTemporaryFile(Self.targets + procedure) { path in
            let environment = Environment(["EBB_CONFIG": path, "TZ": "UTC"].merging(variables) { $1 })
            let configuration = try EbbConfiguration.load(environment: environment)
            return try Procedure.load(
                configuration,
                catalog: Catalog.load(configuration),
                environment: environment
            )
        }
    }

    @Test func `without stages there is none`() throws {
        #expect(try self.load("") == nil)
    }

    @Test func `stages are in the order in which they are written, named after what they do`() throws {
        let procedure = try #require(
            try self.load(
                """
                procedure:
                  time_zone: Europe/Berlin
                  stages:
                    - {hook: Push}
                    - {target: Logs, timeout: 1h, window: "22:00-06:00", on_failure: stop, max_age: 7d}
                    - {target: Logs, name: LogsAgain}
                    - {index: Missing}
                    - {sweep: sessions}
                    - {vacuum: touched}
                    - {vacuum: [public.logs, files], name: all, full: true}
                """
            )
        )
        #expect(procedure.zone.identifier == "Europe/Berlin")
        let names = ["Push", "Logs", "LogsAgain", "Missing", "sessions", "vacuum", "all"]
        #expect(procedure.stages.map(\.name) == names)
        let logs = procedure.stages[1]
        #expect(logs.work == .target("Logs") && logs.timeout == .seconds(3_600) && logs.onFailure == .stop)
        #expect(logs.window?.description == "22:00-06:00" && logs.maxAge == .seconds(7 * 86_400) && logs.off == nil)
        #expect(procedure.stages[2].onFailure == .continue && procedure.stages[2].timeout == nil)
        #expect(procedure.stages[6].work == .vacuum(VacuumScope(tables: ["public.logs", "files"], full: true)))
        #expect(procedure.schedule == nil)
    }

    @Test(arguments: [
        ("schedule: {cron: TZ=Asia/Tokyo 0 3 * * *}, ", "Asia/Tokyo"),
        ("schedule: {cron: \"${CRON}\"}, ", "America/Lima"),
        ("schedule: {cron: 0 3 * * *, time_zone: Asia/Tokyo}, ", "Asia/Tokyo"),
        ("schedule: {cron: \"${CRON}\"}, time_zone: Asia/Tokyo, ", "Asia/Tokyo"),
        ("schedule: {cron: 0 3 * * *}, ", "Europe/Rome"), ("schedule: {cron: \"${UNSET}\"}, ", "Europe/Rome"),
        ("", "Europe/Rome"),
    ])
    func `windows are read in the zone of the procedure, or of its schedule`(_ yaml: String, _ zone: String) throws {
        let variables = ["TZ": "Europe/Rome", "CRON": "CRON_TZ=America/Lima 0 3 * * *"]
        let procedure = try self.load("procedure: {\(yaml)stages: [{target: Logs}]}\n", variables)
        #expect(procedure?.zone.identifier == zone)
    }

    @Test(arguments: [
        ([:], nil), (["ON": "false"], "it is switched off"), (["ON": "0"], "it is switched off"),
        (["ON": "NO"], "it is switched off"), (["ON": "yes"], nil),
    ])
    func `a variable switches a stage`(_ variables: [String: String], _ off: String?) throws {
        let yaml = "procedure: {stages: [{target: Logs, enabled: \"${ON:-true}\"}]}\n"
        #expect(try self.load(yaml, variables)?.stages[0].off == off)
    }

    @Test func `changes patch single settings`() throws {
        let procedure = try #require(
            try self.load(
                """
                procedure:
                  stages: [{target: Logs, timeout: 1h}, {target: Files, keep: 3}]
                  changes: {Logs: {enabled: false, window: "1:00-2:00"}}
                """
            )
        )
        #expect(procedure.stages[0].off == "it is switched off")
        #expect(procedure.stages[0].timeout == .seconds(3_600) && procedure.stages[0].window != nil)
        #expect(procedure.stages[1].off == nil && procedure.stages[1].keep == 3)
    }

    @Test func `its schedule catches up for a day`() throws {
        let procedure = try #require(
            try self.load("procedure: {time_zone: Asia/Tokyo, schedule: {cron: 0 3 * * *}, stages: [{target: Logs}]}\n")
        )
        #expect(procedure.schedule?.catchUp == .literal("24h"))
        #expect(procedure.schedule?.timeZone == .literal("Asia/Tokyo"))
    }

    @Test(arguments: [
        ("stages: [{target: Log}]", "unknown target Log; did you mean Logs?"),
        ("stages: [{hook: Pusch}]", "there is no hook Pusch; did you mean Push?"),
        ("stages: [{index: Nothing}]", "there is no group of indexes Nothing"),
        ("stages: [{sweep: tokens}]", "there is no sweep of tokens"),
        ("stages: [{target: Logs}, {target: Logs}]", "there are two stages Logs; accepted: another \"name\""),
        (
            "stages: [{target: Logs, hook: Push}]",
            "a stage does one thing; accepted: one of target, sweep, hook, index, vacuum"
        ),
        ("stages: [{name: Logs}]", "a stage does one thing"),
        ("stages: [{target: Logs, windows: 1}]", "unknown key; did you mean \"window\"?"),
        ("stages: [{target: Logs, window: night}]", "\"night\" is no time of day"),
        ("stages: [{target: Logs, on_failure: retry}]", "\"retry\" is not possible; accepted: continue or stop"),
        ("stages: [{target: Logs, timeout: 0s}]", "\"0s\" is not greater than zero"),
        ("stages: [{hook: Push, keep: 1}]", "only a target has an age or a number of rows to keep"),
        ("stages: [{target: Logs, full: true}]", "only a vacuum can be full"),
        ("stages: [{vacuum: []}]", "the list is empty; accepted: touched, or a list of tables"),
        ("stages: []", "this is no list, or an empty one"),
        ("{stages: [{target: Logs}], changes: {Log: {enabled: no}}}", "unknown key; did you mean \"Logs\"?"),
        (
            "{stages: [{target: Logs}], schedule: {cron: '@daily', timeout: 1h}}",
            "the procedure has no timeout of its own"
        ),
    ])
    func `a mistake is one sentence that says where`(_ yaml: String, _ sentence: String) throws {
        let procedure = yaml.hasPrefix("{") ? "procedure: \(yaml)\n" : "procedure: {\(yaml)}\n"
        let error = #expect(throws: ConfigurationError.self) { try self.load(procedure) }
        let text = error?.description ?? ""
        #expect(text.contains(sentence) && text.contains(": procedure"), "\(text)")
    }

    @Test(arguments: [
        ("in: project", "there is no group of schemas \"project\"; did you mean projects?; accepted: projects"),
        ("in: public", "there is no group of schemas \"public\"; accepted: projects"),
        (
            "in: projects, schema: public",
            "the indexes are in each schema of a group already; accepted: one of in and schema"
        ),
        ("schema: ''", "is not a name"), ("scheme: public", "unknown key; did you mean \"schema\"?"),
        ("", "it does not say where; accepted: in, a group of schemas, or schema, a single one"),
    ])
    func `where indexes belong is a group or a schema`(_ place: String, _ sentence: String) throws {
        let index = "indexes: [{name: i, table: t, definition: (at)}]"
        let yaml = """
            presets: []
            schemas: {projects: {like: "project_*"}}
            indexes: {Wanted: {\(place.isEmpty ? "" : "\(place), ")\(index)}}
            procedure: {stages: [{index: Wanted}]}

            """
        let error = #expect(throws: ConfigurationError.self) {
            try withTemporaryFile(yaml) { path in
                try Services(environment: Environment(["EBB_CONFIG": path]), label: "ebb.test").procedure()
            }
        }
        #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
    }

    @Test func `a hook that a stage calls is refused at once when its values are of no use`() throws {
        let yaml = "presets: []\nhooks: {Call: {http: {url: \"${HOOK_URL}\"}, enabled: \"${HOOK:-true}\"}}\n"
        func load(_ stage: String, _ variables: [String: String]) throws -> Procedure? {
            try withTemporaryFile("\(yaml)procedure: {stages: [\(stage)]}\n") { path in
                let environment = Environment(["EBB_CONFIG": path].merging(variables) { $1 })
                return try Services(environment: environment, label: "ebb.test").procedure()
            }
        }
        let bad = ["HOOK_URL": "ftp://user:secret@host/"]
        let error = #expect(throws: ConfigurationError.self) { try load("{hook: Call}", bad) }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("HOOK_URL: ") && text.contains("http://") && !text.contains("secret"), "\(text)")
        #expect(throws: ConfigurationError.self) { try load("{hook: Call}", ["HOOK": "perhaps"]) }
        // Nobody calls it.
        #expect(try load("{hook: Call, enabled: false}", bad)?.stages.count == 1)
        for off in [[:], bad.merging(["HOOK": "no"]) { $1 }, bad.merging(["EBB_OFFLINE": "on"]) { $1 }] {
            #expect(try load("{hook: Call}", off)?.stages.count == 1)
        }
    }

    @Test func `a stage that an option names is found, or something near it`() throws {
        let procedure = try #require(try self.load("procedure: {stages: [{target: Logs}, {vacuum: touched}]}\n"))
        #expect(try procedure.stage(named: "vacuum", option: "--only").work.kind == .vacuum)
        let expected = ConfigurationError(
            "--skip: the procedure has no stage vacum; did you mean vacuum? (its stages: Logs, vacuum)"
        )
        #expect(throws: expected) { try procedure.stage(named: "vacum", option: "--skip") }
    }
}

@Suite struct RolesTests {
    private func load(_ variables: [String: String]) throws -> Roles {
        let yaml = """
            presets: []
            roles: {setup: "${RUN_SETUP:-true}", server: "${RUN_SERVER:-true}", maintenance: "${RUN_MAINTENANCE}"}

            """
        return try withTemporaryFile(yaml) { path in
            let environment = Environment(["EBB_CONFIG": path].merging(variables) { $1 })
            return try Roles.load(EbbConfiguration.load(environment: environment), environment: environment)
        }
    }

    @Test(arguments: ["0", "false", "False", "no", "off", "n", "f", "F"])
    func `every spelling of false is understood`(_ text: String) throws {
        let roles = try self.load(["RUN_SETUP": text, "RUN_SERVER": text, "RUN_MAINTENANCE": text])
        #expect(!roles.setup && !roles.server && !roles.maintenance)
    }

    @Test(arguments: [
        [:], ["RUN_SETUP": "", "RUN_SERVER": "", "RUN_MAINTENANCE": ""], ["RUN_SETUP": "1", "RUN_SERVER": "YES"],
    ])
    func `what is not set, empty or true is on`(_ variables: [String: String]) throws {
        #expect(try self.load(variables) == Roles())
    }

    @Test func `anything else is refused by name`() {
        let error = #expect(throws: ConfigurationError.self) { try self.load(["RUN_SERVER": "maybe"]) }
        #expect(error?.description.hasPrefix("RUN_SERVER: \"maybe\" is neither true nor false; accepted: ") == true)
    }

    @Test func `without a word of it, all are on`() throws {
        let configuration = try EbbConfiguration.load(environment: Environment([:]))
        #expect(try Roles.load(configuration, environment: Environment([:])) == Roles())
    }
}
