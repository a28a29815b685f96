import Crypto
package import RedisClient

/// Ebb's own sessions: opaque tokens, with a lifetime that begins anew with each use.
///
/// Redis knows only the SHA-256 of a token, so whoever reads it there cannot log in with it. Each session is a hash, and a sorted set
/// knows by when each ends, so that a sweep costs what has expired and not what is stored. Whether a session is over, Redis's clock
/// says; one that is over is not found, whether or not it has been swept.
package struct SessionStore: Sendable {
    private let redis: RedisClient
    private let keys: Keys
    private let lifetime: Duration

    /// - `lifetime`: after which an unused session is over.
    package init(redis: RedisClient, keys: Keys, lifetime: Duration) {
        self.redis = redis
        self.keys = keys
        self.lifetime = lifetime
    }

    /// A session that is not over.
    package struct Session: Sendable, Equatable {
        package var user: String
        /// What the creator has put into it.
        package var data: String
    }

    /// Begins a session and returns its token, which is nowhere else.
    package func create(user: String, data: String = "") async throws -> String {
        var generator = SystemRandomNumberGenerator()
        let token = (0..<4).map { _ in Self.hex(generator.next()) }.joined()
        _ = try await self.redis.evaluate(
            SessionScripts.create,
            keys: self.keys(of: token),
            arguments: [Self.digest(token), self.lifetime.milliseconds, user, data]
        )
        return token
    }

    /// Reads a session without using it; nil when there is none, or it is over.
    package func read(_ token: String) async throws -> Session? { try await self.read(token, touches: false) }

    /// Uses a session, so that its lifetime begins anew.
    ///
    /// nil when there is none, or it is over, which no use undoes.
    @discardableResult
    package func touch(_ token: String) async throws -> Session? { try await self.read(token, touches: true) }

    /// Ends a session; false when there was none.
    @discardableResult
    package func revoke(_ token: String) async throws -> Bool {
        let reply = try await self.redis.evaluate(
            SessionScripts.revoke,
            keys: self.keys(of: token),
            arguments: [Self.digest(token)]
        )
        return reply.int == 1
    }

    private func read(_ token: String, touches: Bool) async throws -> Session? {
        let reply = try await self.redis.evaluate(
            SessionScripts.read,
            keys: self.keys(of: token),
            arguments: [Self.digest(token), touches ? self.lifetime.milliseconds : ""]
        )
        guard let values = reply.array, values.count == 2, let user = values[0].string, let data = values[1].string
        else { return nil }
        return Session(user: user, data: data)
    }

    private func keys(of token: String) -> [String] { [self.keys.session + Self.digest(token), self.keys.sessions] }

    /// SHA-256 in hexadecimal digits.
    static func digest(_ token: String) -> String {
        SHA256.hash(data: Array(token.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension SessionLayout {
    /// The layout of Ebb's own sessions.
    package static func own(_ keys: Keys) -> SessionLayout {
        var layout = SessionLayout(
            name: SessionPreset.own,
            before: keys.session,
            after: "",
            time: .sortedSet(keys.sessions),
            lifetime: .zero
        )
        layout.isMilliseconds = true
        return layout
    }
}
