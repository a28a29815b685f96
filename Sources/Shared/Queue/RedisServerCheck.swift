import RedisClient

/// Whether a Redis can be trusted with a queue.
extension Queue {
    /// Asks the server what it is; changes nothing.
    ///
    /// What a server does not tell is taken as it should be: many services hide a part of it.
    ///
    /// - Returns: what is doubtful, one sentence each.
    /// - Throws: `QueueError` for what cannot work; `RedisError`.
    package func checkServer() async throws -> [String] {
        do {
            // Not CONFIG, which many services forbid.
            let text = try await self.redis.send("INFO").string ?? ""
            return try RedisServerCheck(information: text).warnings()
        } catch let error as RedisError where error.prefix == "NOPERM" {
            return [
                "Redis does not let this user ask INFO, so its version, role, eviction policy and persistence are not checked; "
                    + "allow it with ACL SETUSER … +info"
            ]
        }
    }
}

/// What `INFO` says of a server.
struct RedisServerCheck {
    private let fields: [Substring: Substring]

    /// - `information`: the reply to `INFO`, lines of `name:value`.
    init(information: String) {
        var fields: [Substring: Substring] = [:]
        for line in information.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...]
            // A managed server may leave a value empty that it does not want to tell.
            if !value.isEmpty { fields[line[..<colon]] = value }
        }
        self.fields = fields
    }

    /// What is doubtful, one sentence each.
    ///
    /// - Throws: `QueueError` for what cannot work.
    func warnings() throws(QueueError) -> [String] {
        try self.checkVersion()
        try self.checkRole()
        return [try self.checkEviction(), self.checkPersistence()].compactMap(\.self)
    }

    /// 7.0.0 to 7.0.3 can be made to overflow their heap by XAUTOCLAIM (CVE-2022-31144).
    ///
    /// Valkey calls itself 7.2.4.
    private static let oldest = [7, 0, 4]

    private func checkVersion() throws(QueueError) {
        guard let text = self.fields["redis_version"] else { return }
        let version = text.split(separator: ".").compactMap { Int($0.prefix(while: \.isNumber)) }
        guard version.lexicographicallyPrecedes(Self.oldest) else { return }
        throw QueueError("Redis \(text) is too old; Ebb needs Redis 7.0.4 or newer, or Valkey 7.2 or newer")
    }

    private func checkRole() throws(QueueError) {
        guard self.fields["role"] == "slave" else { return }
        let primary = self.fields["master_host"].map { " of \($0):\(self.fields["master_port"] ?? "?")" } ?? ""
        throw QueueError(
            "the Redis at REDIS_URL is a replica\(primary), which takes no writes; accepted: the URL of the primary"
        )
    }

    /// Keys that are evicted are batches that nobody does.
    private func checkEviction() throws(QueueError) -> String? {
        guard let policy = self.fields["maxmemory_policy"], policy != "noeviction" else { return nil }
        let setting = "maxmemory-policy of Redis is \(policy)"
        if policy.hasPrefix("volatile-") {
            return "\(setting), so the summaries of runs that are over may be evicted early; accepted: noeviction"
        }
        guard policy.hasPrefix("allkeys-") else { return nil }
        // Without a limit nothing is ever evicted.
        if self.fields["maxmemory"] == "0" {
            return "\(setting), which will evict the queue itself once maxmemory is set; accepted: noeviction"
        }
        throw QueueError("\(setting), which may evict the queue itself; accepted: noeviction")
    }

    /// Whether there are snapshots cannot be told from INFO; they are minutes old at best.
    private func checkPersistence() -> String? {
        guard self.fields["aof_enabled"] == "0" else { return nil }
        return
            "Redis keeps no append-only file (appendonly no), so its restart loses the queue, and producer recover RUN has "
            + "to rebuild each run; accepted: appendonly yes"
    }
}
