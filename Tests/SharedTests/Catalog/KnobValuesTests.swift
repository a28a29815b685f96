import Foundation
import Testing

@testable import Shared

@Suite struct KnobValuesTests {
    private static let both = Target(
        name: "T",
        table: "t",
        key: ["id"],
        rule: Rule(
            maxAge: Rule.MaxAge(column: "created_at", age: .variable("AGE")),
            keepNewest: Rule.KeepNewest(count: .variable("COUNT"), per: [Column(name: "g")], order: ["created_at"])
        )
    )

    private static let literal = Target(
        name: "T",
        table: "t",
        key: ["id"],
        rule: Rule(maxAge: Rule.MaxAge(column: "created_at", age: .literal("90d")))
    )

    private static let knobless = Target(name: "T", table: "t", key: ["id"], rule: Rule(expiresAt: "expires_at"))

    @Test(arguments: [
        (["AGE": "24h", "COUNT": "3"], TargetSwitch.on(KnobValues(maxAge: .seconds(86_400), keep: 3))),
        (["COUNT": "3"], .off(reason: "AGE is not set")),
        (["AGE": "24h"], .off(reason: "COUNT is not set")),
        ([:], .off(reason: "AGE and COUNT are not set")),
    ])
    func `a target is on once all its knobs are set`(_ variables: [String: String], _ expected: TargetSwitch) throws {
        #expect(try Self.both.resolveKnobs(environment: Environment(variables)) == expected)
    }

    @Test(arguments: [
        (
            ["AGE": ""],
            "AGE: \"\" is not a duration; accepted: "
                + "a number and a unit (ns, us, ms, s, m, h, d), or several, such as 90s, 1h30m or 7d"
        ),
        (
            ["AGE": "-24h"],
            "AGE: \"-24h\" is not greater than zero; accepted: "
                + "a duration greater than zero, such as 90s, 1h30m or 7d"
        ),
        (
            ["COUNT": "0", "AGE": "1h"],
            "target T: keeping 0 rows would delete everything, the newest rows too; accepted: a number of at least 1, or 0 "
                + "when the setting keep_nothing (EBB_KEEP_NOTHING) names T as well"
        ),
        (
            ["AGE": "1h", "COUNT": "many"],
            "COUNT: \"many\" is not a whole number; accepted: a whole number of at least 1"
        ),
        (["AGE": "1h", "COUNT": "2147483648"], "COUNT: \"2147483648\" is too large; accepted: at most 2147483647"),
    ])
    func `a knob set to something unusable is an error, even when another is unset`(
        _ variables: [String: String],
        _ sentence: String
    ) {
        #expect(throws: ConfigurationError(sentence)) {
            try Self.both.resolveKnobs(environment: Environment(variables))
        }
    }

    @Test(arguments: [
        ("${DAYS:-7}d", [:], TargetSwitch.on(KnobValues(maxAge: .seconds(7 * 86_400)))),
        ("${DAYS:-7}d", ["DAYS": "30"], .on(KnobValues(maxAge: .seconds(30 * 86_400)))),
        ("${DAYS}d", ["DAYS": "1"], .on(KnobValues(maxAge: .seconds(86_400)))),
        ("${HOURS}h", ["HOURS": "36"], .on(KnobValues(maxAge: .seconds(36 * 3_600)))),
        ("${DAYS}d", [:], .off(reason: "DAYS is not set")),
    ])
    func `a unit may stand behind the variable`(
        _ text: String,
        _ variables: [String: String],
        _ expected: TargetSwitch
    ) throws {
        var target = Self.literal
        target.rule.maxAge?.age = try KnobText.ageKnob(text)
        #expect(try target.resolveKnobs(environment: Environment(variables)) == expected)
    }

    @Test(arguments: [
        ("", "is not a whole number"), ("7d", "is not a whole number"), ("1.5", "is not a whole number"),
        ("0", "is not greater than zero"), ("-7", "is not greater than zero"),
    ])
    func `a number with a unit that is none names its variable`(_ value: String, _ problem: String) throws {
        var target = Self.literal
        target.rule.maxAge?.age = try KnobText.ageKnob("${DAYS:-7}d")
        #expect(throws: ConfigurationError("DAYS: \"\(value)\" \(problem); accepted: a whole number of at least 1")) {
            try target.resolveKnobs(environment: Environment(["DAYS": value]))
        }
    }

    @Test(arguments: ["${DAYS:-7}days", "${DAYS:-x}d", "${DAYS:-0}d", "${DAYS}D", "${DAYS:-7} d"])
    func `a unit that is none is refused`(_ text: String) {
        #expect(throws: RejectedValue.self) { try KnobText.ageKnob(text) }
    }

    @Test func `a unit shows in words`() throws {
        #expect(try KnobText.ageKnob("${DAYS:-7}d").words == "7d")
        #expect(try KnobText.ageKnob("${DAYS}d").words == "DAYS days")
    }

    @Test func `a literal needs no environment`() throws {
        let expected = TargetSwitch.on(KnobValues(maxAge: .seconds(90 * 86_400)))
        #expect(try Self.literal.resolveKnobs(environment: Environment([:])) == expected)
        #expect(try Self.knobless.resolveKnobs(environment: Environment([:])) == .on(KnobValues()))
    }

    @Test func `the command line wins, and switches on`() throws {
        let environment = Environment(["AGE": "bad"])
        let expected = TargetSwitch.on(KnobValues(maxAge: .seconds(60), keep: 2))
        #expect(try Self.both.resolveKnobs(environment: environment, maxAge: .seconds(60), keep: 2) == expected)
    }

    @Test func `an override that the rule has no use for is refused`() {
        let environment = Environment([:])
        #expect(throws: ConfigurationError("--keep: the target T has no keep_newest in its rule; leave it out")) {
            try Self.literal.resolveKnobs(environment: environment, keep: 1)
        }
        #expect(throws: ConfigurationError("--max-age: the target T has no max_age in its rule; leave it out")) {
            try Self.knobless.resolveKnobs(environment: environment, maxAge: .seconds(1))
        }
        let age =
            "--max-age: \"0s\" is not greater than zero; accepted: a duration greater than zero, such as 90s, 1h30m or 7d"
        #expect(throws: ConfigurationError(age)) {
            try Self.both.resolveKnobs(environment: environment, maxAge: .zero, keep: 1)
        }
        let keep = "--keep: \"-1\" is negative; accepted: a whole number of at least 1"
        #expect(throws: ConfigurationError(keep)) {
            try Self.both.resolveKnobs(environment: environment, maxAge: .seconds(1), keep: -1)
        }
    }

    @Test func `an age finer than a microsecond is rounded up`() {
        #expect(KnobValues(maxAge: .nanoseconds(1)).maxAgeMicroseconds == 1)
        #expect(KnobValues(maxAge: .microseconds(2)).maxAgeMicroseconds == 2)
        #expect(KnobValues(maxAge: .seconds(1)).maxAge == .seconds(1))
    }

    @Test func `values survive JSON`() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let values = KnobValues(maxAge: .milliseconds(1_500), keep: 7)
        let json = try encoder.encode(values)
        #expect(String(decoding: json, as: UTF8.self) == #"{"keep":7,"max_age_microseconds":1500000}"#)
        #expect(try JSONDecoder().decode(KnobValues.self, from: json) == values)
    }

    @Test func `the rule is put in words, with the values when they are known`() {
        #expect(
            Self.both.ruleInWords(KnobValues(maxAge: .seconds(86_400), keep: 1))
                == "older than 24h by created_at, but never the newest 1 per g (by created_at)"
        )
        #expect(
            Self.both.ruleInWords()
                == "older than AGE by created_at, but never the newest COUNT per g (by created_at)"
        )
        #expect(Self.literal.ruleInWords() == "older than 90d by created_at")
        #expect(Self.knobless.ruleInWords() == "past their expires_at")
        var target = Self.both
        target.rule.maxAge = nil
        #expect(target.ruleInWords() == "all but the newest COUNT per g (by created_at)")
        target.rule = Rule(expiresAt: "e", where: "state = 'done'")
        #expect(target.ruleInWords() == "past their e and where state = 'done'")
        target.leafFirst = "depends_on"
        #expect(target.ruleInWords() == "past their e and where state = 'done', leaf first by depends_on")
    }
}
