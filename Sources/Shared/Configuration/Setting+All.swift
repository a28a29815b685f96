extension Setting {
    /// Every setting there is, in the order in which the documentation lists them.
    package static let all: [Setting] = [
        Setting(
            "database_url",
            \.databaseURL,
            .url("postgres://…, postgresql://… or libpq's key=value form") { text in
                text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") || text.contains("=")
            },
            "the database to clean",
            variable: "DATABASE_URL",
            isSecret: true
        ),
        Setting(
            "redis_url",
            \.redisURL,
            .url("redis://…, rediss://… or unix://…") { text in
                ["redis://", "rediss://", "unix://"].contains { text.hasPrefix($0) }
            },
            "the Redis for queue, progress and sessions",
            variable: "REDIS_URL",
            isSecret: true
        ),
        Setting(
            "namespace",
            \.namespace,
            .namespace,
            "names the ledger schema and the Redis hash tag, so that installations never meet"
        ),
        Setting(
            "presets",
            \.presets,
            listOf: .word(Preset.names, what: "preset"),
            "which shipped catalogues are on"
        ),
        Setting(
            "keep_nothing",
            \.keepNothing,
            listOf: .targetName,
            "targets whose keep_newest may be set to 0, which deletes the newest rows too"
        ),
        Setting(
            "leases.duration",
            \.leases.duration,
            .duration(from: .milliseconds(100), to: .seconds(86_400)),
            "how long a worker owns a batch without a heartbeat"
        ),
        Setting(
            "batches.duration",
            \.batches.duration,
            .duration(from: .milliseconds(1), to: .seconds(60)),
            "how long a batch should take; its size adapts to this"
        ),
        Setting(
            "batches.rows",
            \.batches.rows,
            .number(1...10_000_000, or: "adaptive"),
            "rows per batch, when they should not adapt"
        ),
        Setting(
            "batches.attempts",
            \.batches.attempts,
            .number(1...100),
            "tries before a batch becomes a dead letter"
        ),
        Setting(
            "batches.backoff",
            \.batches.backoff,
            .duration(from: .milliseconds(1), to: .seconds(3_600)),
            "the pause before the second try; it doubles with every further one"
        ),
        Setting(
            "batches.max_backoff",
            \.batches.maxBackoff,
            .duration(from: .milliseconds(1), to: .seconds(86_400)),
            "the longest pause between two tries"
        ),
        Setting(
            "batches.lock_timeout",
            \.batches.lockTimeout,
            .duration(from: .milliseconds(1), to: .seconds(3_600)),
            "how long a batch waits for a lock"
        ),
        Setting(
            "batches.statement_timeout",
            \.batches.statementTimeout,
            .duration(from: .milliseconds(1), to: .seconds(86_400)),
            "the longest statement of a batch; with idle_timeout less than a lease"
        ),
        Setting(
            "batches.idle_timeout",
            \.batches.idleTimeout,
            .duration(from: .milliseconds(1), to: .seconds(86_400)),
            "how long the server keeps the open transaction of a silent worker"
        ),
        Setting("vacuum", \.vacuum, .onOff, "whether a run ends with a VACUUM of its table"),
        Setting(
            "foreign_keys.most",
            \.foreignKeys.most,
            .duration(from: .milliseconds(1), to: .seconds(365 * 86_400), or: "off"),
            "how much longer a run may take because foreign keys to its table, or columns with its objects' keys, have no index"
        ),
        Setting(
            "ledger.retention",
            \.ledger.retention,
            .duration(from: .seconds(3_600), to: .seconds(3_660 * 86_400)),
            "how long runs that are over stay in the ledger"
        ),
        Setting(
            "dead.most",
            \.dead.most,
            .number(1...1_000_000),
            "how many dead letters are kept; the oldest goes first"
        ),
        Setting(
            "dead.retention",
            \.dead.retention,
            .duration(from: .seconds(60), to: .seconds(3_660 * 86_400)),
            "how long a dead letter is kept"
        ),
        Setting(
            "events.most",
            \.events.most,
            .number(100...10_000_000),
            "about how many events are kept; the oldest go first"
        ),
        Setting("offline", \.offline, .onOff, "whether hooks that call other systems are off"),
        Setting(
            "outages.pause",
            \.outages.pause,
            .duration(from: .milliseconds(1), to: .seconds(3_600)),
            "how long a worker leaves PostgreSQL alone after it could not be reached; doubles with every further time"
        ),
        Setting(
            "outages.max_pause",
            \.outages.maxPause,
            .duration(from: .milliseconds(1), to: .seconds(86_400)),
            "the longest such pause"
        ),
        Setting(
            "storage.attempts",
            \.storage.attempts,
            .number(1...100),
            "tries of one request before an object storage counts as away"
        ),
        Setting(
            "storage.backoff",
            \.storage.backoff,
            .duration(from: .milliseconds(1), to: .seconds(60)),
            "the pause before the second try; it doubles with every further one"
        ),
        Setting(
            "storage.quarantine",
            \.storage.quarantine,
            .duration(from: .seconds(1), to: .seconds(3_660 * 86_400), or: "off"),
            "how long objects have to be known as unreferenced before a later run deletes them, for targets that do not say"
        ),
        Setting(
            "storage.timeout",
            \.storage.timeout,
            .duration(from: .milliseconds(100), to: .seconds(3_600)),
            "the longest that one request to an object storage may take"
        ),
        Setting(
            "sessions.preset",
            \.sessions.preset,
            .word(SessionPreset.names, what: "layout of sessions"),
            "whose sessions worker sweep removes; in the file also sessions: NAME",
            variable: "EBB_SESSIONS"
        ),
        Setting(
            "sessions.interval",
            \.sessions.interval,
            .duration(from: .milliseconds(100), to: .seconds(7 * 86_400)),
            "the pause between two sweeps"
        ),
        Setting(
            "sessions.index",
            \.sessions.index,
            .onOff,
            "whether sweeps keep an index of when sessions may be over, and then mostly look at no others"
        ),
        Setting(
            "sessions.events",
            \.sessions.events,
            .onOff,
            "whether expired sessions are told to the product's database, where the layout has an event"
        ),
        Setting(
            "sessions.event_token",
            \.sessions.eventToken,
            .word(SessionTokenForm.allCases.map(\.rawValue), what: "form of a token"),
            "how much of a token such an event tells"
        ),
        Setting(
            "poll.interval",
            \.poll.interval,
            .duration(from: .milliseconds(1), to: .seconds(60)),
            "the longest pause of an idle worker between two polls"
        ),
        Setting(
            "worker.concurrency",
            \.worker.concurrency,
            .number(1...256),
            "batches one worker process executes at a time"
        ),
        Setting(
            "worker.grace",
            \.worker.grace,
            .duration(from: .zero, to: .seconds(3_600)),
            "how long a stopping worker lets its batches end before it gives them back"
        ),
        Setting("log.level", \.log.level, .level, "the least important messages that are logged"),
    ]
}
