import Testing

@testable import PostgresClient

@Suite struct PgxConnectionURITests {
    @Test(arguments: [
        // Without a query.
        ("postgres://u:p%40ss@h:1/d", "postgres://u:p%40ss@h:1/d"), ("postgresql://h?", "postgresql://h"),
        // What only pgx knows.
        ("postgresql://h/d?pool_max_conns=4&pool_min_idle_conns=", "postgresql://h/d"),
        (
            "postgres://h?sslmode=disable&default_query_exec_mode=exec&application_name=a%20b",
            "postgres://h?sslmode=disable&application_name=a%20b"
        ),
        ("postgresql://h/d?database=e", "postgresql://h/d?dbname=e"),
        // What neither knows.
        ("postgresql://h/d?timezone=Europe/Berlin", "postgresql://h/d?options=-c%20timezone%3DEurope%2FBerlin"),
        ("postgresql://h/d?search_path=a,b", "postgresql://h/d?options=-c%20search_path%3Da%2Cb"),
        ("postgresql://h/d?search_path=", "postgresql://h/d?options=-c%20search_path%3D"),
        ("postgresql://h/d?app.user=1&geqo=off", "postgresql://h/d?options=-c%20app.user%3D1%20-c%20geqo%3Doff"),
        ("postgresql://h/d?ssl=false", "postgresql://h/d?options=-c%20ssl%3Dfalse"),
        // Repeated: of settings the first counts, as in pgx, of libpq's own the last.
        (
            "postgresql://h/d?work_mem=1&user=a&work_mem=2&user=b",
            "postgresql://h/d?user=a&user=b&options=-c%20work_mem%3D1"
        ),
        // What Ebb's sessions are anyway.
        ("postgresql://h/d?timezone=UTC", "postgresql://h/d"),
        // Names are told apart by case.
        (
            "postgresql://h/d?TimeZone=CET&POOL_MAX_CONNS=4",
            "postgresql://h/d?options=-c%20TimeZone%3DCET%20-c%20POOL_MAX_CONNS%3D4"
        ),
        // Percent-encoded, and what has to be.
        (
            "postgresql://h/d?time%7aone=Etc%2fGMT%2B3&%68ost=%6Bk&pool%5Fmax_conns=1",
            "postgresql://h/d?host=%6Bk&options=-c%20timezone%3DEtc%2FGMT%2B3"
        ),
        ("postgresql://h/d?search_path=a,+b", "postgresql://h/d?options=-c%20search_path%3Da%2C%5C%20b"),
        ("postgresql://h/d?search_path=a,%20%5Cb", "postgresql://h/d?options=-c%20search_path%3Da%2C%5C%20%5C%5Cb"),
        ("postgresql://h/d?app.name=\u{E9}%09%ff", "postgresql://h/d?options=-c%20app.name%3D%C3%A9%5C%09%FF"),
        ("postgresql://h/d?app.name=a=b&ssl=true", "postgresql://h/d?ssl=true&options=-c%20app.name%3Da%3Db"),
        // `options` that are there.
        (
            "postgresql://h/d?timezone=CET&options=-c%20geqo%3Doff",
            "postgresql://h/d?options=-c%20geqo%3Doff%20-c%20timezone%3DCET"
        ),
        ("postgresql://h/d?options=-cgeqo=off&pool_max_conns=1", "postgresql://h/d?options=-cgeqo%3Doff"),
        ("postgresql://h/d?options=&geqo=off", "postgresql://h/d?options=-c%20geqo%3Doff"),
        // Any place.
        ("postgresql://u@[::1]:5433/d?geqo=off", "postgresql://u@[::1]:5433/d?options=-c%20geqo%3Doff"),
        (
            "postgresql://a:1,[::2]:2/d?pool_max_conns=2&target_session_attrs=any",
            "postgresql://a:1,[::2]:2/d?target_session_attrs=any"
        ),
        ("postgresql:///d?host=/tmp&pool_max_conns=4&user=a@b", "postgresql:///d?host=/tmp&user=a@b"),
        ("postgresql://u:a?b=c@h/d?pool_max_conns=1", "postgresql://u:a?b=c@h/d"),
        // Separators too many.
        ("postgresql://h/d?&sslmode=disable&&pool_max_conns=1&", "postgresql://h/d?sslmode=disable"),
    ])
    func `a URI for pgx becomes one that libpq takes`(uri: String, expected: String) throws {
        #expect(try PgxConnectionURI.forLibpq(uri) == expected)
        #expect(try PostgresConfiguration(url: uri, applicationName: "ebb").url == expected)
    }

    @Test(arguments: [
        "host=/tmp pool_max_conns=4", "POSTGRES://h/d?geqo=off", "postgresql://h/d?geqo", "postgresql://h/d?geqo=%2",
        "postgresql://h/d?%zz=off",
    ])
    func `what is no URI, or cannot be read, is left to libpq`(uri: String) throws {
        #expect(try PgxConnectionURI.forLibpq(uri) == uri)
    }

    @Test(arguments: [
        ("pool-size=hunter2", "pool-size"), ("1st=hunter2", "1st"), ("=hunter2", ""), ("a b=hunter2", "a%20b"),
        ("a%0Ab=hunter2", "a%0Ab"), ("a%00=hunter2", "a%00"), ("\u{E9}=hunter2", "%C3%A9"), ("a+b=hunter2", "a%2Bb"),
    ])
    func `a parameter that can be no setting is refused by its name`(parameter: String, name: String) throws {
        let error = try #require(
            #expect(throws: PostgresError.self) {
                try PgxConnectionURI.forLibpq("postgresql://u:hunter2@h/d?pool_max_conns=1&" + parameter)
            }
        )
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.hasPrefix("the parameter \"\(name)\" in the database URL is neither"), "\(error)")
        #expect(!error.description.contains("hunter2"))
        #expect(!error.description.contains { $0.isNewline })
    }

    @Test func `what may be a piece of a password is not quoted`() throws {
        let error = try #require(
            #expect(throws: PostgresError.self) { try PgxConnectionURI.forLibpq("postgresql://u:1/2?hun-ter=2@h/d") }
        )
        #expect(!error.description.contains("hun-ter"))
        #expect(error.message.contains("\"?\" as %3F"))
    }
}
