import Shared

extension OracleCase {
    /// Every rule, and every way in which rows can be equal or say nothing.
    static let rules: [OracleCase] = [
        OracleCase(
            name: "older than 3 days, but never the newest",
            setup: Events.setup(),
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "rows equal to the cutoff stay",
            setup: Events.setup(),
            afterCreation: [
                """
                UPDATE events SET created_at = CUTOFF + (seq % 3 - 1) * interval '1 microsecond' WHERE seq < 9
                """
            ],
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "all rows as new as the newest stay",
            setup: Events.setup(then: [
                "UPDATE events SET created_at = created_at - interval '5 days'",
                """
                UPDATE events SET created_at = (SELECT max(created_at) FROM events AS e WHERE e.device = events.device)
                WHERE seq < 4
                """,
            ]),
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "rows as new as the third stay with it",
            setup: Events.setup(then: [
                "UPDATE events SET created_at = date_trunc('day', created_at) - interval '4 days'"
            ]),
            target: Events.named + [Events.age, Events.newest(3)],
            oracle: Events.oracle(keep: 3, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "rows without a time are neither deleted nor counted",
            setup: Events.setup(then: ["UPDATE events SET created_at = NULL WHERE seq IN (1, 5) OR device = 3"]),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "groups of one row keep it",
            setup: Events.setup(device: "n"),
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "groups with fewer rows than are kept lose none",
            setup: Events.setup(device: "n / 4"),
            target: Events.named + [Events.age, Events.newest(4)],
            oracle: Events.oracle(keep: 4, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "NULL groups are one group",
            setup: Events.setup(group: "integer", then: ["UPDATE events SET device = NULL WHERE seq < 5"]),
            target: Events.named + [Events.age, Events.newest(3)],
            oracle: Events.oracle(keep: 3, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "two columns of a group, either of which may be NULL",
            setup: Events.setup(then: [
                "ALTER TABLE events ALTER device DROP NOT NULL",
                "UPDATE events SET device = nullif(device % 5, 2), kind = nullif(kind, 'b')",
                "CREATE INDEX ON events (kind DESC, device, created_at)",
            ]),
            target: Events.named + [Events.age, "keep_newest: {count: 3, per: [device, kind], order: [created_at]}"],
            oracle: """
                DELETE FROM oracle WHERE created_at < CUTOFF AND 3 <= (
                  SELECT count(*) FROM events AS newer
                  WHERE (newer.device, newer.kind) IS NOT DISTINCT FROM (oracle.device, oracle.kind)
                    AND newer.created_at > oracle.created_at)
                """
        ),
        OracleCase(
            name: "exactly so many stay where times tie and the index knows the time alone",
            setup: Events.setup(then: ["UPDATE events SET created_at = date_trunc('day', created_at)"]),
            target: Events.named + [Events.newest(40, order: "created_at, id")],
            oracle: Events.oracle(keep: 40, order: "created_at, id"),
            strategies: [.block, .idRange, .group, nil]
        ),
        OracleCase(
            name: "a time for all",
            setup: Events.setup(then: ["UPDATE events SET created_at = '2020-01-01'"]),
            target: Events.named + [Events.newest(40, order: "created_at, id")],
            oracle: Events.oracle(keep: 40, order: "created_at, id"),
            strategies: [.block, .idRange, .group, nil]
        ),
        OracleCase(
            name: "several order columns are compared one after the other",
            setup: Events.setup(then: [
                "UPDATE events SET created_at = date_trunc('day', created_at), seq = nullif(seq, 3)",
                "CREATE INDEX ON events (device, created_at, seq)",
            ]),
            target: Events.named + [Events.age, Events.newest(2, order: "created_at, seq")],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF", order: "created_at, seq")
        ),
        OracleCase(
            name: "several group columns",
            setup: Events.setup(then: [
                "ALTER TABLE events ALTER kind SET NOT NULL", "CREATE INDEX ON events (kind, device, seq)",
            ]),
            target: Events.named + [Events.age, "keep_newest: {count: 2, per: [device, kind], order: [seq]}"],
            oracle: """
                DELETE FROM oracle WHERE created_at < CUTOFF AND 2 <= (
                  SELECT count(*) FROM events AS newer
                  WHERE newer.device = oracle.device AND newer.kind = oracle.kind AND newer.seq > oracle.seq)
                """
        ),
        OracleCase(
            name: "age alone",
            setup: Events.setup(then: ["UPDATE events SET created_at = NULL WHERE seq = 1"]),
            target: Events.named + [Events.age],
            oracle: "DELETE FROM oracle WHERE created_at < CUTOFF",
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "the newest alone",
            setup: Events.setup(then: ["UPDATE events SET created_at = NULL WHERE seq = 1"]),
            target: Events.named + [Events.newest(5)],
            oracle: Events.oracle(keep: 5),
            strategies: [.block, .idRange, .group, nil]
        ),
        OracleCase(
            name: "expiry alone",
            setup: Events.setup(),
            afterCreation: [
                "UPDATE events SET expires_at = CREATEDZ + (seq % 3 - 1) * interval '1 microsecond' WHERE seq < 5"
            ],
            target: Events.named + ["expires_at: expires_at"],
            oracle: "DELETE FROM oracle WHERE expires_at < CREATEDZ",
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "a condition alone",
            setup: Events.setup(then: ["UPDATE events SET kind = NULL WHERE seq = 2"]),
            target: Events.named + ["where: kind = 'b' OR seq = 4 -- as the operator likes"],
            oracle: "DELETE FROM oracle WHERE kind = 'b' OR seq = 4",
            strategies: [.block, .idRange, nil]
        ),
        OracleCase(
            name: "a condition that names its table",
            setup: Events.setup(),
            target: Events.named + ["where: events.kind = 'b' AND \"payload\" <> ''"],
            oracle: "DELETE FROM oracle WHERE kind = 'b' AND payload <> ''",
            strategies: [.block, .idRange, nil]
        ),
        OracleCase(
            name: "all conditions together",
            setup: Events.setup(),
            target: Events.named + [Events.age, Events.newest(2), "expires_at: expires_at", "where: kind <> 'c'"],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF AND expires_at < CREATEDZ AND kind <> 'c'")
        ),
    ]
}
