import Shared
import Testing

@Suite struct ConfigurationFileTests {
    @Test(arguments: ["", "\n", "# only a comment\n", "---\n", "~"])
    func `a file without content has no entries`(_ yaml: String) throws {
        #expect(try ConfigurationFile(name: "ebb.yaml", yaml: yaml).root.entries().isEmpty)
    }

    struct Bad: Sendable {
        let yaml: String
        let sentence: String
    }

    @Test(arguments: [
        Bad(
            yaml: "vacuum: on\n\tlog: x\n",
            sentence: "ebb.yaml:2: is not valid YAML: while scanning a plain scalar, "
                + "found a tab character that violates indentation"
        ),
        Bad(
            yaml: "targets: {a: [1, 2}\n",
            sentence: "ebb.yaml:1: is not valid YAML: while parsing a flow sequence, did not find expected ',' or ']'"
        ),
        Bad(
            yaml: "vacuum: on\n---\nvacuum: off\n",
            sentence:
                "ebb.yaml:2: is not valid YAML: expected a single document in the stream, but found another document"
        ),
        Bad(
            yaml: "leases:\n  duration: 15s\nleases:\n  duration: 20s\n",
            sentence: "ebb.yaml:1: the key \"leases\" appears more than once in one mapping"
        ),
        Bad(
            yaml: "targets:\n  1: {}\n  \"1\": {}\n",
            sentence: "ebb.yaml:3: targets.1: the key appears more than once in one mapping"
        ),
        Bad(yaml: "? [a]\n: b\n", sentence: "ebb.yaml:1: ?: a key must be a single word"),
    ])
    func `what is not YAML is refused with its line`(_ bad: Bad) {
        #expect(throws: ConfigurationError(bad.sentence)) { try ConfigurationFile(name: "ebb.yaml", yaml: bad.yaml) }
    }

    @Test(arguments: ["- a\n- b\n", "word\n"])
    func `a file that is no mapping is refused`(_ yaml: String) throws {
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: yaml)
        let error = #expect(throws: ConfigurationError.self) { try file.root.entries() }
        #expect(error?.description.hasPrefix("ebb.yaml:1: ") == true)
        #expect(error?.description.hasSuffix(" is not a mapping; accepted: lines of \"key: value\"") == true)
    }

    @Test(arguments: [
        "a: ${NAME}", "a: '${NAME}'", "a: \"${NAME}\"", "{a: ${NAME}}", "{a: \"${NAME}\", b: [${OTHER}]}",
        "a: |-\n  ${NAME}",
    ])
    func `a variable may be written with or without quotes, in any context`(_ yaml: String) throws {
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: yaml)
        let fields = try file.root.fields(["a", "b"])
        #expect(try fields["a"]?.text(accepted: "") == "${NAME}")
    }

    @Test func `variables do not shift the lines of errors`() throws {
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: "a: {b: ${B},\n  c: ${C}}\nd: e\n")
        #expect(try file.root.entries().map(\.value.place.line) == [1, 3])
    }
}
