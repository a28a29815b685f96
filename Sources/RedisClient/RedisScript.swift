/// A Lua script that the server keeps and runs by its SHA, which the server computes.
package struct RedisScript: Sendable, Hashable {
    /// What people call the script.
    ///
    /// Not sent to the server.
    package let name: String

    /// The Lua text.
    package let source: String

    package init(name: String, source: String) {
        self.name = name
        self.source = source
    }

    // Scripts are looked up once per request. Hashing the text each time would cost more than the request; comparing two
    // copies of the same string does not look at the text.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.name)
    }
}
