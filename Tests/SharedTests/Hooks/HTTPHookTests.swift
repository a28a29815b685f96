import Foundation
import TestSupport
import Testing

@testable import Shared

@Suite struct HTTPHookTests {
    @Test func `a hook sends what it should, with values of the run escaped`() async throws {
        let yaml = #"""
              Hook:
                http:
                  method: POST
                  timeout: 2m
                  url: "${BASE}/echo?id=ID"
                  headers: {x-key: "${KEY}", content-type: application/json}
                  body: '{"run":"{run}","who":"${WHO}","other":"{other}","count":{count},"empty":{}}'
            """#
        let variables = [
            "BASE": "URL/".replacing("URL/", with: try TestServers.hookURL()), "KEY": "a-secret", "WHO": "x\"{run}",
        ]
        try await HookBed.with(yaml, variables: variables) { hooks in
            let result = try await hooks.run("Hook", ["run": "a\"b\\c\n{count}", "count": "3"])
            #expect(result.outcome == .done && result.code == 200 && result.attempts == 1 && result.reason == nil)
            #expect(result.bytes > 0)
            // The server repeats its secrets.
            #expect(!result.output.contains("a-secret") && result.output.contains("(hidden)"))
            let request = try #require(try await hooks.requests().first)
            #expect(request.method == "POST")
            #expect(request.headers["x-key"] == "a-secret" && request.headers["content-type"] == "application/json")
            #expect(
                request.body
                    == #"{"run":"a\"b\\c\n{count}","who":"x\"{run}","other":"{other}","count":3,"empty":{}}"#
            )
        }
    }

    @Test func `a secret may come as a file`() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try Data("from-a-file\n".utf8).write(to: file)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: file) } }
        let yaml = "  Hook: {http: {timeout: 2m, url: 'URL/echo?id=ID', headers: {x-key: 'Bearer ${KEY}'}}}"
        try await HookBed.with(yaml, variables: ["KEY_FILE": file.path()]) { hooks in
            let result = try await hooks.run()
            #expect(result.outcome == .done)
            #expect(try await hooks.requests().first?.headers["x-key"] == "Bearer from-a-file")
        }
    }

    @Test func `a server that fails is tried again, until there was enough of it`() async throws {
        let yaml = """
              Often: {http: {timeout: 2m, url: 'URL/fail/2?id=ID', retries: 2, backoff: 1ms}}
              Once: {http: {timeout: 2m, url: 'URL/fail/2?id=IDonce', retries: 1, backoff: 1ms}}
              Wrong: {http: {timeout: 2m, url: 'URL/code/404?id=IDwrong', retries: 3, backoff: 1ms}}
            """
        try await HookBed.with(yaml) { hooks in
            let done = try await hooks.run("Often")
            #expect(done.outcome == .done && done.attempts == 3 && done.output == "done at 3")
            let failed = try await hooks.run("Once")
            #expect(failed.outcome == .failed && failed.attempts == 2 && failed.code == 503)
            #expect(failed.reason == "127.0.0.1 answered 503")
            let wrong = try await hooks.run("Wrong")
            #expect(wrong.outcome == .failed && wrong.attempts == 1 && wrong.code == 404)
        }
    }

    @Test(arguments: [("[404]", 404, true), ("[200-204]", 204, true), ("[200]", 201, false), ("302", 302, true)])
    func `only accepted codes are success`(_ accept: String, _ code: Int, _ isDone: Bool) async throws {
        try await HookBed.with("  Hook: {http: {timeout: 2m, url: 'URL/code/\(code)', accept: \(accept), retries: 0}}")
        { hooks in
            let result = try await hooks.run()
            #expect(result.outcome == (isDone ? .done : .failed) && result.code == code)
        }
    }

    @Test func `a silent server has so much time per try`() async throws {
        var arrived = 0
        // On a busy machine the time may be over before a request has gone out.
        for time in ["50ms", "2s", "30s"] where arrived != 2 {
            let yaml = "  Hook: {http: {url: 'URL/silent?id=ID', timeout: \(time), retries: 1, backoff: 1ms}}"
            arrived = try await HookBed.with(yaml) { hooks in
                let result = try await hooks.run()
                #expect(result.outcome == .failed && result.attempts == 2 && result.code == nil)
                #expect(result.reason == "no answer from 127.0.0.1 within \(time)")
                return try await hooks.requests().count
            }
        }
        #expect(arrived == 2)
    }

    @Test func `nobody at the other end is a failure that names the host`() async throws {
        let yaml = "  Hook: {http: {url: 'http://127.0.0.1:1/', retries: 0, headers: {x: '${KEY}'}}}"
        try await HookBed.with(yaml, variables: ["KEY": "secret-key"]) { hooks in
            let result = try await hooks.run()
            #expect(result.outcome == .failed)
            #expect(result.reason?.hasPrefix("no answer from 127.0.0.1 (") == true)
            #expect(result.reason?.contains("secret-key") == false)
        }
    }

    @Test func `an answer without an end is cut off`() async throws {
        try await HookBed.with("  Hook: {http: {timeout: 2m, url: 'URL/huge', output: 100KiB, retries: 0}}") { hooks in
            let result = try await hooks.run()
            #expect(result.outcome == .done && result.bytes == 102_400)
            #expect(result.output.count < 1_100)
        }
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `a redirect on the same host keeps the headers`(_ code: Int) async throws {
        let yaml = """
              Hook:
                http:
                  method: POST
                  timeout: 2m
                  url: URL/redirect/\(code)?id=ID&to=/echo%3Fid%3DID
                  headers: {x-key: '${KEY}'}
                  body: text
            """
        try await HookBed.with(yaml, variables: ["KEY": "a-secret"]) { hooks in
            #expect(try await hooks.run().outcome == .done)
            let last = try #require(try await hooks.requests().last)
            #expect(last.path == "/echo" && last.headers["x-key"] == "a-secret")
            #expect(last.method == (code < 304 ? "GET" : "POST") && last.body == (code < 304 ? "" : "text"))
        }
    }

    @Test func `a redirect to another host gets no secret, and no body`() async throws {
        let port = try #require(try TestServers.hookURL().split(separator: ":").last)
        let target = "http://other.test:\(port)/echo%3Fid%3DID"
        let headers = "headers: {x-key: '${KEY}', Authorization: plain, cookie: c, accept: text/plain}"
        let yaml = """
              Get: {http: {timeout: 2m, url: 'URL/redirect/302?id=ID&to=\(target)', \(headers)}}
              Post: {http: {timeout: 2m, method: POST, url: 'URL/redirect/307?id=ID&to=\(target)', \(headers), body: text}}
            """
        try await HookBed.with(yaml, variables: ["KEY": "a-secret"]) { hooks in
            #expect(try await hooks.run("Get").outcome == .done)
            let requests = try await hooks.requests()
            #expect(requests.map(\.path) == ["/redirect/302", "/echo"])
            #expect(requests[0].headers["x-key"] == "a-secret" && requests[0].headers["authorization"] == "plain")
            #expect(requests[1].host.hasPrefix("other.test"))
            for name in ["x-key", "authorization", "cookie"] { #expect(requests[1].headers[name] == nil) }
            #expect(requests[1].headers["accept"] == "text/plain")
            let post = try await hooks.run("Post")
            #expect(post.outcome == .failed && post.attempts == 1)
            #expect(post.reason == "127.0.0.1 redirects to other.test, where the body is not sent")
            #expect(try await hooks.requests().count == 3)
        }
    }

    @Test func `redirects have an end`() async throws {
        let yaml = """
              Round: {http: {timeout: 2m, url: 'URL/redirect/302?id=ID&to=%3Fid%3DID%26to%3D%253Fid%253DID', retries: 0}}
              Odd: {http: {timeout: 2m, url: 'URL/redirect/302?to=file:///etc/passwd', retries: 0}}
            """
        try await HookBed.with(yaml) { hooks in
            let odd = try await hooks.run("Odd")
            #expect(odd.outcome == .failed && odd.reason == "127.0.0.1 redirects to what is no HTTP address")
            _ = try await hooks.run("Round")
        }
        let url = try TestServers.hookURL()
        // Each hop leads to the same place with one fewer step to go.
        var target = "/echo?id=ID"
        let allowed = CharacterSet.alphanumerics
        for _ in 0..<6 {
            target = "/redirect/302?id=ID&to=" + (target.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")
        }
        let five = target.removingFirstHop
        try await HookBed.with(
            "  Six: {http: {timeout: 2m, url: '\(url)\(target)'}}\n  Five: {http: {timeout: 2m, url: '\(url)\(five)'}}"
        ) {
            hooks in
            let six = try await hooks.run("Six")
            #expect(six.outcome == .failed && six.reason == "more than 5 redirects" && six.attempts == 1)
            #expect(try await hooks.run("Five").outcome == .done)
        }
    }

    @Test func `a hook is off while something of it is not set, or switched off`() async throws {
        let yaml = """
              Unset: {http: {url: '${HOOK_URL}/x', headers: {a: '${HOOK_KEY}'}}}
              Disabled: {enabled: '${HOOK_ENABLED:-false}', http: {url: 'URL/echo'}}
              Enabled: {enabled: '${HOOK_ON}', http: {url: 'URL/echo'}}
              NotEnabled: {enabled: '${HOOK_NOT_SET}', http: {url: 'URL/echo'}}
              Offline: {offline: '${HOOK_OFFLINE}', http: {url: 'URL/echo'}}
              Online: {offline: '${HOOK_NOT_SET}', http: {url: 'URL/echo'}}
              Bad: {enabled: '${HOOK_BAD}', http: {url: 'URL/echo'}}
              BadURL: {http: {url: '${HOOK_BAD}'}}
            """
        let variables = ["HOOK_ON": "Yes", "HOOK_OFFLINE": "1", "HOOK_BAD": "ftp://user:hunter2@host"]
        try await HookBed.with(yaml, variables: variables) { hooks in
            let unset = try await hooks.run("Unset")
            #expect(unset.outcome == .off && unset.reason == "HOOK_URL and HOOK_KEY are not set" && unset.attempts == 0)
            #expect(try await hooks.run("Disabled").reason == "HOOK_ENABLED is false")
            #expect(try await hooks.run("Enabled").outcome == .done)
            #expect(try await hooks.run("NotEnabled").reason == "HOOK_NOT_SET is not set")
            #expect(try await hooks.run("Offline").reason == "HOOK_OFFLINE is true")
            #expect(try await hooks.run("Online").outcome == .done)
            let bad = try await hooks.run("Bad")
            #expect(bad.outcome == .failed && bad.reason?.hasPrefix("HOOK_BAD: ") == true)
            let url = try await hooks.run("BadURL")
            #expect(url.outcome == .failed && url.reason?.contains("hunter2") == false)
        }
        try await HookBed.with("  Hook: {http: {timeout: 2m, url: 'URL/echo'}}", settings: "offline: on") { hooks in
            let result = try await hooks.run()
            #expect(result.reason == "the setting offline is on")
        }
    }

    @Test func `a hook does not run again too soon, wherever it last succeeded`() async throws {
        let yaml = """
              Hook: {min_interval: 8h, http: {url: 'URL/fail/1?id=ID', retries: 0}}
              Soon: {min_interval: 1ms, http: {url: 'URL/echo'}}
            """
        try await HookBed.with(yaml) { hooks in
            // A failure is no reason to wait.
            #expect(try await hooks.run().outcome == .failed)
            #expect(try await hooks.run().outcome == .done)
            let skipped = try await hooks.run()
            #expect(skipped.outcome == .skipped && skipped.attempts == 0)
            #expect(skipped.reason?.hasPrefix("last ran 20") == true)
            #expect(skipped.reason?.hasSuffix(", and runs once in 8h") == true)
            #expect(try await hooks.requests().count == 2)
            #expect(try await hooks.run("Soon").outcome == .done)
            try await eventually("the interval is over") { try await hooks.run("Soon").outcome == .done }
        }
    }
}

extension String {
    /// The target of a redirect to itself with one hop fewer.
    fileprivate var removingFirstHop: String {
        let encoded = self.split(separator: "&to=", maxSplits: 1).last.map(String.init) ?? ""
        return encoded.removingPercentEncoding ?? ""
    }
}
