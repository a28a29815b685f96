import Testing

/// One way of getting it wrong.
struct Refusal: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var arguments: [String] = ["enqueue", "Events", "--json"]
    var environment: [String: String?] = [:]
    var targets = Events.target()
    /// What the one sentence must contain.
    var sentence: [String]

    init(
        _ description: String,
        _ arguments: [String] = ["enqueue", "Events", "--json"],
        environment: [String: String?] = [:],
        targets: String = Events.target(),
        says sentence: String...
    ) {
        self.testDescription = description
        self.arguments = arguments
        self.environment = environment
        self.targets = targets
        self.sentence = sentence
    }
}

extension Refusal {
    /// Concerning the servers; by every program.
    static let servers = [
        Refusal("no database URL", environment: ["DATABASE_URL": nil], says: "DATABASE_URL is not set"),
        Refusal("an empty database URL", environment: ["DATABASE_URL": ""], says: "DATABASE_URL", "is empty"),
        Refusal(
            "a database of another make",
            environment: ["DATABASE_URL": "mysql://host/db"],
            says: "DATABASE_URL",
            "postgresql://"
        ),
        Refusal(
            "an unescaped password",
            environment: ["DATABASE_URL": "postgresql://u:p@ss@host/db"],
            says: "in a password, write it as %40"
        ),
        Refusal(
            "a bad port",
            environment: ["DATABASE_URL": "postgresql://host:70000/db"],
            says: "port in the database URL"
        ),
        Refusal(
            "an unknown host",
            environment: ["DATABASE_URL": "postgresql://no-such-host.invalid/db"],
            says: "cannot connect to PostgreSQL",
            "no-such-host.invalid"
        ),
        Refusal(
            "no PostgreSQL at the socket",
            environment: ["DATABASE_URL": "postgresql:///db?host=/nonexistent&user=ebb"],
            says: "cannot connect to PostgreSQL",
            "/nonexistent"
        ),
        Refusal(
            "no PostgreSQL at the port",
            environment: ["DATABASE_URL": "postgresql://127.0.0.1:1/db?user=ebb"],
            says: "cannot connect to PostgreSQL",
            "127.0.0.1"
        ),
        Refusal("no Redis URL", environment: ["REDIS_URL": nil], says: "REDIS_URL is not set"),
        Refusal(
            "a Redis URL without scheme",
            environment: ["REDIS_URL": "localhost:6379"],
            says: "REDIS_URL",
            "redis://"
        ),
        Refusal(
            "a bad Redis port",
            environment: ["REDIS_URL": "redis://host:port"],
            says: "Redis URL has an unusable port"
        ),
        Refusal(
            "no Redis at the socket",
            environment: ["REDIS_URL": "unix:///nonexistent/redis.sock"],
            says: "Redis",
            "/nonexistent"
        ),
        Refusal(
            "no Redis at the port",
            environment: ["REDIS_URL": "redis://127.0.0.1:1"],
            says: "Redis",
            "127.0.0.1:1"
        ),
        Refusal("TLS where there is none", environment: ["REDIS_URL": "rediss://127.0.0.1:1"], says: "rediss://"),
    ]

    /// Concerning the file and variables.
    static let configuration = [
        Refusal(
            "no such file",
            environment: ["EBB_CONFIG": "/nonexistent/ebb.yaml"],
            says: "EBB_CONFIG",
            "/nonexistent/ebb.yaml"
        ),
        Refusal("bad YAML", targets: "targets:\n  Events: {table: [\n", says: "ebb.yaml:", "is not valid YAML"),
        Refusal("an unknown setting", targets: "leasez: {duration: 15s}\n", says: "ebb.yaml:1", "leasez", "leases"),
        Refusal(
            "an unknown key of a target",
            targets: Events.target().replacing("key: id", with: "kee: id"),
            says: "ebb.yaml:5",
            "kee",
            "key"
        ),
        Refusal(
            "a bad duration in the file",
            targets: Events.target(age: "soon"),
            says: "ebb.yaml:6",
            "soon",
            "is not a duration"
        ),
        Refusal(
            "a bad duration in a variable",
            environment: ["EBB_LEASES_DURATION": "ten"],
            says: "EBB_LEASES_DURATION",
            "\"ten\""
        ),
        Refusal(
            "a lease that is too short",
            environment: ["EBB_LEASES_DURATION": "1s"],
            says: "EBB_LEASES_DURATION",
            "longer than"
        ),
        Refusal("a bad namespace", environment: ["EBB_NAMESPACE": "Not-A-Name"], says: "EBB_NAMESPACE", "lower-case"),
        Refusal(
            "a bad preset",
            environment: ["EBB_PRESETS": "distro"],
            says: "EBB_PRESETS",
            "distro",
            "accepted: distr, ayon"
        ),
    ]

    /// Concerning what is to be cleaned.
    static let targets = [
        Refusal(
            "an unknown target",
            ["enqueue", "Event", "--json"],
            says: "unknown target Event; did you mean Events?"
        ),
        Refusal(
            "a second, unknown target",
            ["enqueue", "Events", "DeploymentTargetMetric", "--json"],
            says: "did you mean DeploymentTargetMetrics?"
        ),
        Refusal(
            "a target that Distr removed",
            ["enqueue", "DeploymentTargetStatus", "--json"],
            says: "DeploymentTargetStatus no longer exists",
            "Distr removed it in 2.20.0"
        ),
        Refusal(
            "a target that is off",
            ["enqueue", "DeploymentTargetMetrics", "--json"],
            says: "is off: METRICS_ENTRIES_MAX_AGE is not set"
        ),
        Refusal(
            "an age that is empty",
            ["enqueue", "DeploymentTargetMetrics", "--json"],
            environment: ["METRICS_ENTRIES_MAX_AGE": ""],
            says: "METRICS_ENTRIES_MAX_AGE",
            "is not a duration"
        ),
        Refusal(
            "a negative age",
            ["enqueue", "DeploymentTargetMetrics", "--json"],
            environment: ["METRICS_ENTRIES_MAX_AGE": "-24h"],
            says: "METRICS_ENTRIES_MAX_AGE: \"-24h\" is not greater than zero"
        ),
        Refusal(
            "a missing table",
            targets: Events.target().replacing("table: events", with: "table: evens"),
            says: "table",
            "evens",
            "does not exist"
        ),
        Refusal(
            "a missing column",
            targets: Events.target().replacing("column: created_at", with: "column: create_at"),
            says: "has no column \"create_at\"; did you mean created_at?"
        ),
        Refusal(
            "a column that is no time",
            targets: Events.target().replacing("column: created_at", with: "column: body"),
            says: "\"body\" has type text"
        ),
        Refusal(
            "a key that is not unique",
            targets: Events.target().replacing("key: id", with: "key: source"),
            says: "has no unique index"
        ),
        Refusal(
            "a knob that the rule has no use for",
            ["enqueue", "Events", "--keep", "1", "--json"],
            targets: Events.target().replacing("keep_newest", with: "#"),
            says: "--keep: the target Events has no keep_newest"
        ),
    ]
}
