/// How a product keeps its sessions in Redis: which keys are sessions, where their time stands, and when they are over.
///
/// A layout is data. `sessions` in the configuration names a shipped one or describes one; see ``SessionLayoutParser``.
package struct SessionLayout: Sendable, Hashable {
    /// What reports call it.
    package var name: String
    /// What a session's key begins with, before its token.
    package var before: String
    /// What follows the token.
    package var after: String
    package var time: Time
    /// Whether times are in milliseconds instead of seconds.
    package var isMilliseconds = false
    /// How long after its time a session is over; zero where the time is that of its end.
    ///
    /// Exactly as long is not over yet.
    package var lifetime: Duration
    package var service: Service?
    /// Where a value repeats its token: a key whose value names another is none of ours.
    package var token: Field?
    package var event: Event?

    /// A field of a JSON document, by its path, or of a hash.
    package typealias Field = [String]

    /// Where a session's last use, or its end, stands.
    package enum Time: Sendable, Hashable {
        /// A number in a JSON document, which is the key's value.
        case json(Field)
        /// A number in a field of a hash.
        case hash(String)
        /// The score of a token in a sorted set of that name.
        case sortedSet(String)
        /// Nowhere: for how long nobody has read or written the key, by Redis itself.
        case idle
    }

    /// Sessions with a lifetime of their own: those whose field is true.
    package struct Service: Sendable, Hashable {
        package var field: Field
        package var lifetime: Duration
    }

    /// What is written into the product's database for a session that was deleted.
    package struct Event: Sendable, Hashable {
        /// One statement; `$1` is a JSON array of `{"id": uuid, "token": text, "user": text or null}`.
        ///
        /// An id may come twice after a crash, so the statement must ignore those that are there.
        package var insert: String
        /// Where the user's name stands.
        package var user: Field?
        /// No event for sessions in which this field is true.
        package var unless: Field?
    }

    /// A layout without service sessions, tokens in values, and events; times are in seconds.
    package init(name: String, before: String, after: String, time: Time, lifetime: Duration) {
        self.name = name
        self.before = before
        self.after = after
        self.time = time
        self.lifetime = lifetime
    }

    /// The pattern for `SCAN`, in which characters of the layout mean themselves.
    var pattern: String { Self.literal(self.before) + "*" + Self.literal(self.after) }

    private static func literal(_ text: String) -> String {
        text.replacing(/[*?\[\]\\]/) { match in "\\" + match.output }
    }
}

/// How much of a deleted session's token an event tells.
package enum SessionTokenForm: String, Sendable, CaseIterable {
    /// At most a quarter of it, and at most eight characters.
    case prefix
    /// Its SHA-1, which Redis can compute.
    case hash
    case full
}
