import Foundation
import RedisClient
import Subprocess
import SystemPackage
import Testing

@Suite struct `A wrong password` {
    @Test(.timeLimit(.minutes(5)), arguments: ["wrong", "", "right"])
    func `for Redis is told, and not shown`(password: String) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(100)
            let user = sandbox.namespace
            _ = try await sandbox.redis.send("ACL", "SETUSER", user, "on", ">right", "~{\(user)}:*", "+@all")
            let credentials = password.isEmpty ? "" : "\(user):\(password)@"
            let url = try Servers.redisURL().replacing("://", with: "://\(credentials)", maxReplacements: 1)
            // Without credentials everybody is the default user, who may do all.
            let outcome = try await sandbox.producer("enqueue", "Events", "--json", environment: ["REDIS_URL": url])
            _ = try await sandbox.redis.send("ACL", "DELUSER", user)
            if password == "wrong" {
                #expect(outcome.status == .exited(2))
                #expect(outcome.output == "")
                #expect(outcome.complaints.count == 1, "\(outcome.errors)")
                #expect(outcome.errors.contains("WRONGPASS"), "\(outcome.errors)")
                #expect(!outcome.errors.contains("wrong:") && !outcome.errors.contains(":wrong"))
                #expect(try await sandbox.leftTraces() == [])
            } else {
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
            }
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: [Program.producer, .worker])
    func `is not shown at any level of the log`(program: Program) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(100)
            // Trust lets every password pass.
            let url = try Servers.databaseURL().replacing("user=ebb", with: "user=ebb&password=open-sesame")
            #expect(url.contains("open-sesame"))
            let outcome = try await sandbox.run(
                program,
                program == .producer ? ["enqueue", "Events"] : ["--drain"],
                environment: ["DATABASE_URL": url, "EBB_LOG_LEVEL": "trace"]
            )
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(!outcome.errors.contains("sesame") && !outcome.output.contains("sesame"))
        }
    }

    /// Needs a server of its own, because the shared one may trust everybody.
    @Test(.timeLimit(.minutes(5)))
    func `for PostgreSQL is told, and not shown`() async throws {
        try await withSandbox { sandbox in
            let server = "/tmp/\(sandbox.namespace)_pg"
            try await Self.withServer(in: server) {
                for (password, words) in [
                    ("sesame-wrong", "password authentication failed"), ("", "no password supplied"),
                ] {
                    let credentials = password.isEmpty ? "owner" : "owner:\(password)"
                    let url = "postgresql://\(credentials)@/postgres?host=\(server)"
                    for program in [Program.producer, .worker] {
                        let arguments = program == .producer ? ["enqueue", "Events", "--json"] : ["--drain"]
                        let outcome = try await sandbox.run(program, arguments, environment: ["DATABASE_URL": url])
                        #expect(outcome.status == .exited(2))
                        #expect(outcome.output == "")
                        #expect(outcome.complaints.count == 1, "\(outcome.errors)")
                        #expect(outcome.errors.contains(words), "\(outcome.errors)")
                        #expect(!outcome.errors.contains("sesame-wrong"))
                        #expect(try await sandbox.leftTraces() == [])
                    }
                }
                let url = "postgresql://owner:sesame@/postgres?host=\(server)"
                let setup = try await sandbox.producer("setup", environment: ["DATABASE_URL": url])
                #expect(setup.status == .exited(0), "\(setup.errors)")
            }
        }
    }

    /// Runs `body` with a PostgreSQL that asks for passwords, at a socket in `directory`.
    private static func withServer(in directory: String, _ body: () async throws -> Void) async throws {
        func shell(_ script: String) async throws {
            let prelude = """
                set -eu
                bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
                as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --init-groups -- "$@"; else "$@"; fi; }
                cd /

                """
            let result = try await Subprocess.run(
                .name("bash"),
                arguments: ["-c", prelude + script, "server", directory],
                input: .none,
                output: .string(limit: 1 << 20),
                error: .combinedWithOutput
            )
            try #require(result.terminationStatus.isSuccess, "\(result.standardOutput)")
        }
        let result: Result<Void, any Error>
        do {
            try await shell(
                """
                mkdir "$1"
                [ "$(id -u)" != 0 ] || chown postgres: "$1"
                echo sesame | as tee "$1/password" >/dev/null
                as "$bin/initdb" -D "$1/data" -U owner -A scram-sha-256 --pwfile="$1/password" -E UTF8 --locale=C.UTF-8 --no-sync
                as "$bin/pg_ctl" -D "$1/data" -l "$1/log" -w -t 60 \
                  -o "-c listen_addresses= -c unix_socket_directories=$1 -c fsync=off" start
                """
            )
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        // Of its own, so that a test that ran out of time stops the server too.
        try await Task {
            try await shell(#"as "$bin/pg_ctl" -D "$1/data" -m immediate -w stop || true; rm -rf "$1""#)
        }.value
        try result.get()
    }
}
