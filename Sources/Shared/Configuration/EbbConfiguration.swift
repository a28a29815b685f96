package import Logging

/// All settings of Ebb, with their defaults.
///
/// What each setting is called in the file and in the environment, and what it accepts, is said once, in
/// ``Setting/all``; a new setting is a property here and a row there.
package struct EbbConfiguration: Sendable {
    /// The database to clean; a secret, because it may hold a password.
    package var databaseURL: String?
    /// The Redis that holds queue, progress and sessions; a secret, because it may hold a password.
    package var redisURL: String?
    /// Names the ledger's schema and the Redis hash tag, so that installations and tests never meet.
    package var namespace = "ebb"
    /// The shipped catalogues that are on.
    package var presets = [Preset.distr.rawValue]
    /// Targets that may be told to keep 0 rows of a group: what deletes everything has to be asked for twice.
    package var keepNothing: [String] = []
    package var leases = Leases()
    package var batches = Batches()
    /// Whether a run ends with a VACUUM of its table; without it the table keeps its dead rows until autovacuum comes.
    package var vacuum = true
    package var foreignKeys = ForeignKeys()
    package var ledger = Ledger()
    package var dead = Dead()
    package var events = Events()
    /// Whether nothing outside may be called: hooks are off, cleaning goes on.
    package var offline = false
    package var outages = Outages()
    package var storage = Storage()
    package var sessions = Sessions()
    package var poll = Poll()
    package var worker = Worker()
    package var log = Log()
    /// The file that was read; the catalogue takes the operator's targets from it.
    package var file: ConfigurationFile?

    package init() {}

    package struct Leases: Sendable {
        /// How long a worker owns a batch without a heartbeat: how late a killed worker's batches are taken over.
        package var duration: Duration = .seconds(15)
    }

    package struct Batches: Sendable {
        /// How long a batch should take: short enough that its locks are not felt, long enough that round trips are not.
        package var duration: Duration = .milliseconds(250)
        /// Rows per batch; nil adapts the size to `duration`.
        package var rows: Int?
        /// Tries, crashed ones included, before a batch becomes a dead letter.
        package var attempts = 8
        /// The pause before the second try; it doubles with every further one.
        package var backoff: Duration = .seconds(1)
        /// The longest pause between two tries.
        package var maxBackoff: Duration = .seconds(15 * 60)
        /// How long a batch waits for a row lock: the application goes first.
        package var lockTimeout: Duration = .seconds(1)
        /// The longest statement; with `idleTimeout` it must end before the lease does.
        package var statementTimeout: Duration = .seconds(5)
        /// How long the server keeps a silent worker's open transaction.
        package var idleTimeout: Duration = .seconds(5)

        /// The pause after a try: `min(maxBackoff, backoff·2^attempts)`, of which between a half and the whole, so that what
        /// failed together does not come back together.
        ///
        /// - `attempts`: used before that try.
        /// - `random`: a number between 0 and 1.
        package func pause(after attempts: Int, random: Double = .random(in: 0...1)) -> Duration {
            let doubled = self.backoff * Double(1 << min(attempts, 40))
            return min(self.maxBackoff, doubled) * (0.5 + random / 2)
        }

        /// After which a worker takes a silent connection for dead: the server has ended the batch by then.
        package var patience: Duration { self.lockTimeout + self.statementTimeout + self.idleTimeout }
    }

    package struct ForeignKeys: Sendable {
        /// How much longer a run may take because foreign keys have no index; nil for any time: a minute is what an operator
        /// would not notice, and beyond it the index is created faster than the rows are deleted.
        package var most: Duration? = .seconds(60)
    }

    package struct Ledger: Sendable {
        /// How long runs and batches that are over stay in the ledger: 30 days, a month of history to look back on.
        package var retention: Duration = .seconds(720 * 3_600)
    }

    package struct Dead: Sendable {
        /// How many dead letters there may be; the oldest goes first.
        ///
        /// A letter is about half a kilobyte of Redis.
        package var most = 10_000
        /// How long a dead letter is kept.
        package var retention: Duration = .seconds(720 * 3_600)
    }

    package struct Events: Sendable {
        /// About how many events are kept: weeks of runs, in some four megabytes of Redis.
        package var most = 10_000

        package init() {}
    }

    package struct Outages: Sendable {
        /// How long a worker leaves PostgreSQL alone after it could not be reached; doubles with every further time.
        package var pause: Duration = .seconds(1)
        /// The longest such pause.
        package var maxPause: Duration = .seconds(30)
    }

    package struct Storage: Sendable {
        /// Tries of one request before the storage counts as away.
        package var attempts = 5
        /// The pause before the second try; it doubles with every further one.
        package var backoff: Duration = .milliseconds(200)
        /// How long targets that say nothing of it keep objects that were found unreferenced; nil deletes them at once.
        package var quarantine: Duration?
        /// The longest a request may take.
        package var timeout: Duration = .seconds(30)

        /// A longer pause would outlast what overloads a storage.
        private static let longestPause = Duration.seconds(10)

        /// The pause after so many tries, between a half and the whole of what it may be.
        package func pause(after tries: Int, random: Double = .random(in: 0...1)) -> Duration {
            min(Self.longestPause, self.backoff * Double(1 << min(max(tries, 1) - 1, 20))) * (0.5 + random / 2)
        }
    }

    package struct Sessions: Sendable {
        /// The layout that ships with Ebb, or `off`; the file may describe another one.
        package var preset = "off"
        /// The pause between two sweeps of the fleet: sessions outlive their time by at most this, which nobody notices, since
        /// products refuse expired ones themselves.
        package var interval: Duration = .seconds(300)
        /// Whether sweeps keep a ``SessionIndex``: some 100 bytes of Redis a session.
        package var index = false
        /// Whether events of the layout are written.
        package var events = true
        /// How much of a token they tell.
        package var eventToken = SessionTokenForm.prefix.rawValue
    }

    package struct Poll: Sendable {
        /// The longest pause of an idle worker between two polls: how late it notices new work.
        package var interval: Duration = .milliseconds(100)
    }

    package struct Worker: Sendable {
        /// Batches one worker process executes at a time; each takes one database connection.
        package var concurrency = 2
        /// How long a stopping worker lets its batches end before it cancels them and gives them back: a few times what a
        /// batch takes.
        package var grace: Duration = .seconds(2)
    }

    package struct Log: Sendable {
        package var level: Logger.Level = .info
    }

    /// The database's URL, for a command that cannot do without.
    package func requireDatabaseURL() throws(ConfigurationError) -> String {
        guard let url = self.databaseURL else {
            throw ConfigurationError(
                "DATABASE_URL is not set: give the database to clean, such as postgres://user@host/database, "
                    + "or DATABASE_URL_FILE, the path of a file that holds it"
            )
        }
        return url
    }

    /// The Redis URL, for a command that cannot do without.
    package func requireRedisURL() throws(ConfigurationError) -> String {
        guard let url = self.redisURL else {
            throw ConfigurationError(
                "REDIS_URL is not set: give the Redis for queue and progress, such as redis://host:6379, "
                    + "or REDIS_URL_FILE, the path of a file that holds it"
            )
        }
        return url
    }
}

extension EbbConfiguration: CustomStringConvertible, CustomReflectable {
    /// Nothing, since it may hold passwords.
    package var description: String { "EbbConfiguration" }

    package var customMirror: Mirror { Mirror(self, children: []) }
}
