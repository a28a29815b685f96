import Shared

extension OracleCase {
    /// Rows that others refer to.
    static let protected: [OracleCase] = [
        OracleCase(
            name: "rows that notes refer to stay, without an index",
            setup: Events.setup() + Self.notes(),
            target: Events.named + [Events.age, "protect: [notes]"],
            oracle: "DELETE FROM oracle WHERE created_at < CUTOFF AND \(Self.free)",
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "kept rows count as the newest, without an index",
            setup: Events.setup() + Self.notes(),
            target: Events.named + [Events.age, Events.newest(2), "protect: [notes]"],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF AND \(Self.free)"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "kept rows count as the newest, with indexes",
            setup: Events.setup() + Self.notes() + [
                "CREATE INDEX ON notes (before)", "CREATE INDEX ON notes (after)",
            ],
            target: Events.named + [Events.age, Events.newest(2), "protect: [notes]"],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF AND \(Self.free)")
        ),
        OracleCase(
            name: "a large table of notes is looked up row by row",
            setup: Events.setup() + Self.notes() + [
                // Statistics of a table that is to be looked up.
                "INSERT INTO notes (id) SELECT n FROM generate_series(1, 120000) AS n",
                "CREATE INDEX ON notes (before)", "CREATE INDEX ON notes (after)", "ANALYZE notes",
            ],
            target: Events.named + [Events.age, Events.newest(2), "protect: [notes]"],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF AND \(Self.free)")
        ),
        OracleCase(
            name: "references that come between planning and the first batch",
            setup: Events.setup() + Self.notes(),
            afterCreation: ["INSERT INTO notes (before) SELECT id FROM events WHERE seq = 3"],
            target: Events.named + [Events.age, Events.newest(), "protect: [notes]"],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF AND \(Self.free)"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "two tables protect, one by two columns",
            setup: Events.setup(then: ["ALTER TABLE events ADD UNIQUE (id, device)"]) + Self.notes() + [
                """
                CREATE TABLE links (event STRATEGY_KEY, device integer,
                                    FOREIGN KEY (event, device) REFERENCES events (id, device) ON DELETE CASCADE)
                """,
                "INSERT INTO links SELECT id, CASE WHEN seq = 4 THEN device END FROM events WHERE seq < 5",
            ],
            target: Events.named + [Events.age, "protect: [notes, links]"],
            oracle: """
                DELETE FROM oracle WHERE created_at < CUTOFF AND \(Self.free)
                  AND NOT EXISTS (SELECT FROM links WHERE links.event = oracle.id AND links.device = oracle.device)
                """,
            strategies: [.block, .window, .idRange, nil]
        ),
    ]

    /// No note refers to the row.
    private static let free = "NOT EXISTS (SELECT FROM notes WHERE oracle.id IN (notes.before, notes.after))"

    /// Notes with two keys each, as of states before and after, of which one may be NULL.
    private static func notes() -> [String] {
        [
            """
            CREATE TABLE notes (
              id bigint, before STRATEGY_KEY REFERENCES events ON DELETE CASCADE,
              after STRATEGY_KEY REFERENCES events ON DELETE CASCADE)
            """,
            """
            INSERT INTO notes SELECT seq, CASE WHEN seq > 1 THEN id END, CASE WHEN seq < 3 THEN id END
            FROM events WHERE seq IN (0, 1, 2, 9)
            """,
        ]
    }
}
