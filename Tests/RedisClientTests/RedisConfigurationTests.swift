import RedisClient
import Testing

@Suite
struct RedisConfigurationTests {
    struct Accepted: CustomTestStringConvertible {
        let url: String
        let description: String
        var testDescription: String { self.url }

        init(_ url: String, _ description: String) {
            self.url = url
            self.description = description
        }
    }

    @Test(arguments: [
        Accepted("redis://localhost", "redis://localhost:6379"),
        Accepted("REDIS://localhost/", "redis://localhost:6379"),
        Accepted("redis://10.0.0.1:7000/5", "redis://10.0.0.1:7000/5"),
        Accepted("redis://[::1]:7000", "redis://[::1]:7000"),
        Accepted("redis://[::1]/2", "redis://[::1]:6379/2"),
        Accepted("redis://user:hunter2@host/0", "redis://host:6379"),
        Accepted("redis://:hunter2@host", "redis://host:6379"),
        Accepted("redis://user:hunter2@more@host:1", "redis://host:1"),
        Accepted("redis://us%40er:hun%74er2@host", "redis://host:6379"),
        Accepted("unix:///run/redis.sock", "unix:///run/redis.sock"),
        Accepted("unix:///run/redis.sock?db=9", "unix:///run/redis.sock?db=9"),
        Accepted("unix://user:hunter2@/run/my%20redis.sock", "unix:///run/my redis.sock"),
    ])
    func `a URL is read and described without user and password`(_ accepted: Accepted) throws {
        let configuration = try RedisConfiguration(url: accepted.url)
        #expect(configuration.description == accepted.description)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hunter2"))
            #expect(!text.contains("user"))
        }
    }

    @Test(arguments: [
        ("", "no scheme"),
        ("hunter2", "no scheme"),
        ("http://host", "scheme \"http\""),
        ("redis://", "no usable host"),
        ("redis://:hunter2@", "no usable host"),
        ("redis://ho st", "no usable host"),
        ("redis://[::1", "no usable host"),
        ("redis://host:", "unusable port"),
        ("redis://host:0", "unusable port"),
        ("redis://host:65536", "unusable port"),
        ("redis://host:+1", "unusable port"),
        ("redis://user:hunter2/x@host", "unusable port"),
        ("redis://host/x", "database number"),
        ("redis://host/-1", "database number"),
        ("redis://host/99999999999999999999", "database number"),
        ("redis://host?db=1", "database number"),
        ("redis://user@host", "user without a password"),
        ("redis://user:@host", "empty password"),
        ("redis://:@host", "empty password"),
        ("redis://:hunter2%@host", "% in its password"),
        ("redis://:hunter2%+1@host", "% in its password"),
        ("redis://:hunter2%ff@host", "not UTF-8"),
        ("redis://:hunter2%00@host", "not UTF-8"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "no socket path"),
        ("unix:///", "no socket path"),
        ("unix:///run/redis.sock?database=1", "?db="),
        ("unix:///run/redis.sock?db=", "?db="),
        ("unix:///" + String(repeating: "x", count: 107), "107"),
    ])
    func `an unusable URL is refused without quoting it`(url: String, reason: String) throws {
        let error = try #require(throws: RedisError.self) { try RedisConfiguration(url: url) }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains(reason))
        #expect(error.message.hasPrefix("The Redis URL "))
        #expect(!error.description.contains("hunter2"))
    }

    @Test
    func `timeouts must be positive`() throws {
        for duration in [Duration.zero, .seconds(-1)] {
            #expect(throws: RedisError.self) {
                try RedisConfiguration(url: "redis://host", commandTimeout: duration)
            }
            #expect(throws: RedisError.self) { try RedisConfiguration(url: "redis://host", connectTimeout: duration) }
            #expect(throws: RedisError.self) { try RedisConfiguration(url: "redis://host", maxBackoff: duration) }
        }
    }

    @Test
    func `TLS is refused where hiredis does not have it`() throws {
        guard !RedisConfiguration.supportsTLS else {
            #expect(try RedisConfiguration(url: "rediss://host").description == "rediss://host:6379")
            return
        }
        let error = try #require(throws: RedisError.self) { try RedisConfiguration(url: "rediss://host") }
        #expect(error.code == .tlsUnavailable)
        #expect(error.message.hasPrefix("rediss:// needs hiredis 1.0 or newer with TLS; this build has "))
    }
}
