import Foundation
import Logging
import TestSupport

@testable import Shared

/// Hooks of a test's configuration, and a server that they call.
struct HookBed {
    let bed: TestBed
    let url: String
    /// Names the test's requests on the server.
    let id: String

    /// The configuration: `URL` and `ID` stand for the server and the test.
    static func with<Result>(
        _ yaml: String,
        settings: String = "",
        variables: [String: String] = [:],
        _ body: (HookBed) async throws -> Result
    ) async throws -> Result {
        let url = try TestServers.hookURL()
        let id = "h" + String(UInt64.random(in: .min ... .max), radix: 36)
        func filled(_ text: String) -> String { text.replacing("URL/", with: url + "/").replacing("ID", with: id) }
        return try await withTestBed(
            settings: settings + "\nhooks:\n" + filled(yaml),
            variables: variables.mapValues(filled)
        ) { bed in
            try await body(HookBed(bed: bed, url: url, id: id))
        }
    }

    func run(_ name: String = "Hook", _ context: [String: String] = [:]) async throws -> HookResult {
        let hooks = try self.bed.services.hooks()
        guard let hook = hooks.first(where: { $0.name == name }) else { throw UnexpectedState("no hook \(name)") }
        let transport = HTTPTransport(hosts: ["other.test": "127.0.0.1"])
        let runner = HookRunner(
            environment: self.bed.services.environment,
            isOffline: self.bed.services.configuration.offline,
            queue: self.bed.queue,
            logger: self.bed.services.logger,
            transport: transport
        )
        let result = try await runner.run(hook, context: context)
        try await transport.close()
        return result
    }

    /// A request as the server has seen it.
    struct Request: Decodable {
        var method: String
        var path: String
        var host: String
        var headers: [String: String]
        var body: String
    }

    func requests() async throws -> [Request] {
        let request = HTTPTransport.Request(method: "GET", url: "\(self.url)/log?id=\(self.id)")
        let response = try await HTTPTransport.shared.send(request, timeout: .seconds(60))
        return try JSONDecoder().decode([Request].self, from: Data(response.body))
    }
}
