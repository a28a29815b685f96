import Testing

@testable import Shared

@Suite struct HookParserTests {
    private static func hooks(_ yaml: String) throws -> [Hook] {
        var configuration = EbbConfiguration()
        configuration.file = try ConfigurationFile(name: "ebb.yaml", yaml: "hooks:\n" + yaml)
        return try Hook.load(configuration)
    }

    @Test func `a hook is as it is written, with defaults for the rest`() throws {
        let hooks = try Self.hooks(
            """
              Push: {http: {method: POST, url: "https://${HOST}/x", headers: {k: "${K}"}, body: "b", timeout: 1m, retries: 0,
                     backoff: 2s, accept: [200, 204-206], output: 1KiB}, min_interval: 8h}
              Plain: {http: {url: http://host}}
              Run: {command: {argv: [/bin/true, "${A}"], environment: {A: b}, cwd: /, timeout: 2m, output: 10}, offline: "${O}"}
            """
        )
        #expect(hooks.map(\.name) == ["Plain", "Push", "Run"])
        guard case .http(let plain) = hooks[0].action, case .http(let push) = hooks[1].action,
            case .command(let run) = hooks[2].action
        else {
            Issue.record("wrong kinds")
            return
        }
        #expect(plain.method == "GET" && plain.retries == 2 && plain.accept == [200...299] && plain.output == 65_536)
        #expect(push.method == "POST" && push.timeout == .seconds(60) && push.accept == [200...200, 204...206])
        #expect(hooks[1].minInterval == .seconds(8 * 3_600) && push.retries == 0 && push.output == 1_024)
        #expect(run.arguments.count == 2 && run.timeout == .seconds(120) && run.output == 10)
        #expect(hooks[2].offline == VariableText("${O}"))
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        var yaml: String
        var says: String
        var testDescription: String { self.yaml }
    }

    @Test(arguments: [
        Bad(yaml: "  1a: {http: {url: 'http://h'}}", says: "is not a hook's name"),
        Bad(yaml: "  A: {}", says: "ebb.yaml:2: hooks.A: a hook is one of http and command"),
        Bad(yaml: "  A: {http: {url: 'http://h'}, command: {argv: [a]}}", says: "a hook is one of http and command"),
        Bad(yaml: "  A: {http: {}}", says: "\"url\" is missing"),
        Bad(yaml: "  A: {http: {url: 'ftp://h'}}", says: "is no such address; accepted: http:// or https://"),
        Bad(yaml: "  A: {http: {url: '/path'}}", says: "is no such address"),
        Bad(yaml: "  A: {http: {url: 'http://user:hunter2@h'}}", says: "(not shown, it may hold a password)"),
        Bad(
            yaml: "  A: {http: {url: 'http://h', method: get}}",
            says: "\"get\" is no such method; accepted: GET, POST"
        ),
        Bad(yaml: "  A: {http: {url: 'http://h', headers: {'a b': c}}}", says: "\"a b\" is not a header's name"),
        Bad(yaml: "  A: {http: {url: 'http://h', timeout: 0s}}", says: "is not greater than zero"),
        Bad(yaml: "  A: {http: {url: 'http://h', retries: -1}}", says: "is not such a number"),
        Bad(yaml: "  A: {http: {url: 'http://h', accept: []}}", says: "the list is empty"),
        Bad(yaml: "  A: {http: {url: 'http://h', accept: 2xx}}", says: "\"2xx\" is no such code"),
        Bad(yaml: "  A: {http: {url: 'http://h', accept: 300-200}}", says: "is no such code"),
        Bad(yaml: "  A: {http: {url: 'http://h', output: 1GiB}}", says: "is not such a size"),
        Bad(yaml: "  A: {http: {url: 'http://h', ouput: 1}}", says: "did you mean \"output\"?"),
        Bad(yaml: "  A: {http: {url: 'http://h'}, enabled: maybe}", says: "\"maybe\" is neither true nor false"),
        Bad(yaml: "  A: {http: {url: 'http://h'}, min_interval: often}", says: "\"often\" is not a duration"),
        Bad(yaml: "  A: {command: {argv: []}}", says: "is no program"),
        Bad(yaml: "  A: {command: {argv: [bin/x]}}", says: "\"bin/x\" is no program; accepted: an absolute path"),
        Bad(yaml: "  A: {command: {argv: [x], environment: {'a b': c}}}", says: "\"a b\" is not a variable's name"),
        Bad(yaml: "  A: {command: {argv: [x], shell: true}}", says: "unknown key"),
    ])
    func `a hook that cannot be is refused by line and key`(_ bad: Bad) throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.hooks(bad.yaml) }
        #expect("\(try #require(error))".contains(bad.says))
        #expect(!"\(try #require(error))".contains("hunter2"))
    }

    @Test func `variables may stand anywhere in a text`() throws {
        let environment = Environment(["A": "1", "EMPTY": ""])
        func value(_ text: String) throws -> (String?, String?) {
            var lookup = VariableLookup(environment)
            return (try VariableText(text).value(&lookup), lookup.reason)
        }
        #expect(try value("") == ("", nil))
        #expect(try value("plain {x} $A ${}") == ("plain {x} $A ${}", nil))
        #expect(try value("${A}") == ("1", nil))
        #expect(try value("a${A}b${A}${EMPTY}${NO:-}${NO:-c d}") == ("a1b1c d", nil))
        #expect(try value("${NO}${A}${NO}${OTHER}") == (nil, "NO and OTHER are not set"))
    }
}
