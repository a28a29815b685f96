import Foundation

/// The real servers that tests need; they fail without them and never skip.
package enum TestServers {
    package static func databaseURL() throws -> String {
        try self.value("EBB_TEST_DATABASE_URL", "the PostgreSQL database that tests use")
    }

    package static func redisURL() throws -> String { try self.value("EBB_TEST_REDIS_URL", "the Redis that tests use") }

    package static func objectStorageURL() throws -> String {
        try self.value("EBB_TEST_S3_URL", "the object storage that tests use")
    }

    /// The other side of hooks; see `Tests/HookServer/server.py`.
    package static func hookURL() throws -> String { try self.value("EBB_TEST_HTTP_URL", "the server that hooks call") }

    private static func value(_ name: String, _ what: String) throws -> String {
        guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else {
            throw UnexpectedState("\(name) is not set: give the URL of \(what); make test sets it")
        }
        return value
    }

    /// The database with session settings, which every session starts with.
    static func databaseURL(settings: [(name: String, value: String)]) throws -> String {
        let url = try self.databaseURL()
        // In `options`, a space ends an argument and a backslash takes its meaning away.
        let options = settings.map { "-c \($0.name)=\($0.value.replacing(" ", with: "\\ "))" }.joined(separator: " ")
        guard url.contains("://") else { return "\(url) options='\(options.replacing("\\", with: "\\\\"))'" }
        let allowed = CharacterSet.alphanumerics
        guard let encoded = options.addingPercentEncoding(withAllowedCharacters: allowed) else {
            throw UnexpectedState("session settings cannot be written into a URL")
        }
        return url + (url.contains("?") ? "&" : "?") + "options=" + encoded
    }

    /// The URL, or the key words, of another database of the same server.
    static func url(_ url: String, database: String) -> String {
        url.contains("://") ? "\(url)\(url.contains("?") ? "&" : "?")dbname=\(database)" : "\(url) dbname=\(database)"
    }
}
