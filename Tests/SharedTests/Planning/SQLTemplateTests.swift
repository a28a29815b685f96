import Testing

@testable import Shared

@Suite struct SQLTemplateTests {
    private static let now = "2026-11-21 00:00:00.123456"

    @Test(arguments: [
        ("a < {now}", "a < '2026-11-21 00:00:00.123456+00'::timestamptz"),
        ("EXISTS (SELECT FROM {schema}.t)", #"EXISTS (SELECT FROM "project_o'k".t)"#),
        ("name = {schema_name}", "name = 'project_o''k'"),
        (#"data @> '{"a": {"now": 1}}' AND tags = '{x}'"#, #"data @> '{"a": {"now": 1}}' AND tags = '{x}'"#),
        ("{keys} {Schema} {schema", "{keys} {Schema} {schema"),
    ])
    func `placeholders are filled in, other braces stay`(_ text: String, _ expected: String) {
        #expect(SQLTemplate(text).render(schema: "project_o'k", now: Self.now) == expected)
    }

    @Test func `what is put in is not looked through again`() {
        let text = SQLTemplate("{schema} {keys}").render(schema: "{now}", now: Self.now, keys: "{schema}")
        #expect(text == #""{now}" {schema}"#)
    }

    @Test func `a backslash in a name means itself`() {
        #expect(SQLTemplate("x = {schema_name}").render(schema: #"a\b"#, now: Self.now) == #"x =  E'a\\b'"#)
    }

    @Test(arguments: [
        ("1970-01-01 00:00:00.000000", 0), ("1970-01-01 00:00:00.000001", 1), ("1970-01-01 00:00:01.000000", 1),
        ("1969-12-31 23:59:59.500000", 0), ("2000-02-29 12:00:00.000000", 951_825_600),
        ("2026-11-21 14:25:57.999999", 1_795_271_158), ("1734-03-01 00:00:00.000000", -7_442_323_200),
    ])
    func `a moment is a number of seconds, rounded up`(_ text: String, _ seconds: Int) {
        #expect(CivilDay.epochSeconds(text) == seconds)
    }
}
