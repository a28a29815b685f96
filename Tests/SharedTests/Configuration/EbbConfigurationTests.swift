import Logging
import Shared
import Testing

@Suite struct EbbConfigurationTests {
    private static let duration = "a duration from 100ms to 24h, such as 250ms, 90s or 1h30m"

    @Test func `nothing given is the defaults`() throws {
        let configuration = try EbbConfiguration.load(environment: Environment([:]))
        #expect(configuration.databaseURL == nil)
        #expect(configuration.namespace == "ebb")
        #expect(configuration.presets == ["distr"])
        #expect(configuration.leases.duration == .seconds(15))
        #expect(configuration.batches.duration == .milliseconds(250))
        #expect(configuration.batches.rows == nil)
        #expect(configuration.vacuum)
        #expect(configuration.log.level == .info)
        #expect(configuration.file == nil)
    }

    @Test func `every setting has a key, a variable and a default that it accepts itself`() throws {
        #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        for setting in Setting.all where !setting.isSecret {
            _ = try EbbConfiguration.load(environment: Environment([setting.variable: setting.defaultText]))
        }
    }

    @Test(arguments: [
        ("leases.duration", "EBB_LEASES_DURATION", "15s"), ("vacuum", "EBB_VACUUM", "on"),
        ("batches.max_backoff", "EBB_BATCHES_MAX_BACKOFF", "15m"), ("batches.rows", "EBB_BATCHES_ROWS", "adaptive"),
        ("ledger.retention", "EBB_LEDGER_RETENTION", "30d"), ("presets", "EBB_PRESETS", "distr"),
        ("database_url", "DATABASE_URL", ""),
    ])
    func `a setting's variable follows its key`(_ key: String, _ variable: String, _ defaultText: String) throws {
        let setting = try #require(Setting.all.first { $0.key == key })
        #expect(setting.variable == variable)
        #expect(setting.defaultText == defaultText)
    }

    @Test func `the file sets, the environment wins`() throws {
        let yaml = """
            database_url: postgres://file/db
            namespace: from_file
            presets: []
            leases: {duration: 30s}
            batches:
              rows: 1000
              statement_timeout: 10s
            vacuum: off
            log: {level: debug}
            targets:
            """
        try withTemporaryFile(yaml) { path in
            let configuration = try EbbConfiguration.load(
                environment: Environment([
                    "EBB_CONFIG": path, "EBB_NAMESPACE": "from_env", "EBB_BATCHES_ROWS": "adaptive",
                    "EBB_PRESETS": "distr",
                    "REDIS_URL": "redis://localhost",
                ])
            )
            #expect(configuration.databaseURL == "postgres://file/db")
            #expect(configuration.redisURL == "redis://localhost")
            #expect(configuration.namespace == "from_env")
            #expect(configuration.presets == ["distr"])
            #expect(configuration.leases.duration == .seconds(30))
            #expect(configuration.batches.rows == nil)
            #expect(configuration.batches.statementTimeout == .seconds(10))
            #expect(!configuration.vacuum)
            #expect(configuration.log.level == .debug)
            #expect(configuration.file?.name == path)
        }
    }

    @Test(arguments: [
        ("on", true), ("true", true), ("YES", true), ("off", false), ("false", false), ("no", false),
        ("1", true), ("t", true), ("0", false), ("N", false),
    ])
    func `a switch is on or off`(_ text: String, _ isOn: Bool) throws {
        #expect(try EbbConfiguration.load(environment: Environment(["EBB_VACUUM": text])).vacuum == isOn)
    }

    @Test(arguments: [("none", []), ("distr", ["distr"]), (" distr ", ["distr"])])
    func `presets are separated by commas`(_ text: String, _ presets: [String]) throws {
        #expect(try EbbConfiguration.load(environment: Environment(["EBB_PRESETS": text])).presets == presets)
    }

    struct BadVariable: Sendable {
        let name: String
        let value: String
        let problem: String
    }

    @Test(arguments: [
        BadVariable(
            name: "EBB_LEASES_DURATION",
            value: "ten",
            problem: "\"ten\" is not a duration; accepted: "
                + "a number and a unit (ns, us, ms, s, m, h, d), or several, such as 90s, 1h30m or 7d"
        ),
        BadVariable(
            name: "EBB_LEASES_DURATION",
            value: "99ms",
            problem: "\"99ms\" is too short; accepted: \(Self.duration)"
        ),
        BadVariable(
            name: "EBB_LEASES_DURATION",
            value: "25h",
            problem: "\"25h\" is too long; accepted: \(Self.duration)"
        ),
        BadVariable(
            name: "EBB_VACUUM",
            value: "",
            problem: "\"\" is neither true nor false; accepted: true or false (also 1, 0, yes, no, on, off, t, f, y, n)"
        ),
        BadVariable(
            name: "EBB_BATCHES_ROWS",
            value: "0",
            problem: "\"0\" is not such a number; accepted: a whole number from 1 to 10000000, or adaptive"
        ),
        BadVariable(
            name: "EBB_WORKER_CONCURRENCY",
            value: "two",
            problem: "\"two\" is not such a number; accepted: a whole number from 1 to 256"
        ),
        BadVariable(
            name: "EBB_NAMESPACE",
            value: "Ebb",
            problem: "\"Ebb\" is not a namespace; accepted: "
                + "a lower-case letter and then up to 30 lower-case letters, digits or underscores"
        ),
        BadVariable(
            name: "EBB_NAMESPACE",
            value: "a123456789012345678901234567890x",
            problem: "\"a123456789012345678901234567890x\" is not a namespace; accepted: "
                + "a lower-case letter and then up to 30 lower-case letters, digits or underscores"
        ),
        BadVariable(
            name: "EBB_PRESETS",
            value: "distr,ayno",
            problem: "\"ayno\" is not a preset; accepted: distr, ayon, or none alone"
        ),
        BadVariable(
            name: "EBB_PRESETS",
            value: "",
            problem: "\"\" is not a preset; accepted: distr, ayon, or none alone"
        ),
        BadVariable(
            name: "EBB_LOG_LEVEL",
            value: "loud",
            problem: "\"loud\" is not a log level; accepted: trace, debug, info, notice, warning, error, critical"
        ),
        BadVariable(
            name: "DATABASE_URL",
            value: "mysql://user:hunter2@host/db",
            problem: "the value (not shown, it may hold a password) is no such URL; "
                + "accepted: postgres://…, postgresql://… or libpq's key=value form"
        ),
        BadVariable(
            name: "REDIS_URL",
            value: "",
            problem: "the value (not shown, it may hold a password) is empty; "
                + "accepted: redis://…, rediss://… or unix://…"
        ),
        BadVariable(
            name: "EBB_CONFIG",
            value: "/does/not/exist.yaml",
            problem: "cannot read the file \"/does/not/exist.yaml\" (No such file or directory); "
                + "accepted: a path to a readable file"
        ),
    ])
    func `a bad variable is refused by its name`(_ bad: BadVariable) {
        #expect(throws: ConfigurationError("\(bad.name): \(bad.problem)")) {
            try EbbConfiguration.load(environment: Environment([bad.name: bad.value]))
        }
    }

    struct BadFile: Sendable {
        let yaml: String
        /// Follows the file's name and a colon.
        let sentence: String
    }

    @Test(arguments: [
        BadFile(
            yaml: "vacuum: on\nleases:\n  duration: 1ms\n",
            sentence: "3: leases.duration: \"1ms\" is too short; accepted: \(Self.duration)"
        ),
        BadFile(
            yaml: "leases: {duration: }\n",
            sentence: "1: leases.duration: nothing is not a value; accepted: \(Self.duration)"
        ),
        BadFile(
            yaml: "leases: {duration: [15s]}\n",
            sentence: "1: leases.duration: a list is not a value; accepted: \(Self.duration)"
        ),
        BadFile(
            yaml: "leases: 15s\n",
            sentence: "1: leases: \"15s\" is not a mapping; accepted: lines of \"key: value\""
        ),
        BadFile(
            yaml: "\nleases: {duratoin: 15s}\n",
            sentence: "2: leases.duratoin: unknown key; did you mean \"duration\"? accepted: duration"
        ),
        BadFile(
            yaml: "Vacum: on\n",
            sentence: "1: Vacum: unknown key; did you mean \"vacuum\"? accepted: database_url, redis_url, namespace, "
                + "presets, keep_nothing, leases, batches, vacuum, foreign_keys, ledger, dead, events, offline, outages, storage, "
                + "sessions, poll, worker, log, targets, schedules, stores, hooks, announce, schemas, procedure, indexes, roles"
        ),
        BadFile(
            yaml: "presets:\n  - distr\n  - other\n",
            sentence: "1: presets: \"other\" is not a preset; accepted: distr, ayon, or none alone"
        ),
        BadFile(
            yaml: "redis_url: http://:hunter2@host\n",
            sentence: "1: redis_url: the value (not shown, it may hold a password) is no such URL; "
                + "accepted: redis://…, rediss://… or unix://…"
        ),
        BadFile(
            yaml: "leases: {duration: 10s}\n",
            sentence:
                "1: leases.duration: leases.duration (10s) is not longer than batches.statement_timeout (5s) plus "
                + "batches.idle_timeout (5s); accepted: a lease longer than their sum, so that no batch outlives its lease"
        ),
    ])
    func `a bad file is refused by line and key`(_ bad: BadFile) throws {
        try withTemporaryFile(bad.yaml) { path in
            #expect(throws: ConfigurationError("\(path):\(bad.sentence)")) {
                try EbbConfiguration.load(environment: Environment(["EBB_CONFIG": path]))
            }
        }
    }

    @Test func `settings that do not fit together name what was set`() {
        let sentence =
            "EBB_BATCHES_STATEMENT_TIMEOUT: leases.duration (15s) is not longer than batches.statement_timeout (12s) plus "
            + "batches.idle_timeout (5s); accepted: a lease longer than their sum, so that no batch outlives its lease"
        #expect(throws: ConfigurationError(sentence)) {
            try EbbConfiguration.load(environment: Environment(["EBB_BATCHES_STATEMENT_TIMEOUT": "12s"]))
        }
        let backoff =
            "EBB_BATCHES_BACKOFF: batches.backoff (30m) is longer than batches.max_backoff (15m); "
            + "accepted: a first pause no longer than the longest"
        #expect(throws: ConfigurationError(backoff)) {
            try EbbConfiguration.load(environment: Environment(["EBB_BATCHES_BACKOFF": "30m"]))
        }
    }

    @Test func `short leases are possible with short timeouts`() throws {
        let configuration = try EbbConfiguration.load(
            environment: Environment([
                "EBB_LEASES_DURATION": "500ms", "EBB_BATCHES_STATEMENT_TIMEOUT": "200ms",
                "EBB_BATCHES_IDLE_TIMEOUT": "200ms",
            ])
        )
        #expect(configuration.leases.duration == .milliseconds(500))
    }

    @Test func `URLs come from files, and their absence is explained`() throws {
        try withTemporaryFile("postgres://user:hunter2@host/db\n") { path in
            let configuration = try EbbConfiguration.load(environment: Environment(["DATABASE_URL_FILE": path]))
            #expect(try configuration.requireDatabaseURL() == "postgres://user:hunter2@host/db")
            let sentence =
                "REDIS_URL is not set: give the Redis for queue and progress, such as redis://host:6379, "
                + "or REDIS_URL_FILE, the path of a file that holds it"
            #expect(throws: ConfigurationError(sentence)) { try configuration.requireRedisURL() }
        }
        let sentence =
            "DATABASE_URL is not set: give the database to clean, such as postgres://user@host/database, "
            + "or DATABASE_URL_FILE, the path of a file that holds it"
        #expect(throws: ConfigurationError(sentence)) { try EbbConfiguration().requireDatabaseURL() }
    }
}
