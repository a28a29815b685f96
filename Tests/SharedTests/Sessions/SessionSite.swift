import Foundation
import Logging
import RedisClient
import TestSupport

@testable import Shared

/// A product's sessions in a test's own part of Redis.
struct SessionSite {
    let bed: TestBed
    let layout: SessionLayout

    var redis: RedisClient { self.bed.queue.redis }

    /// The shipped layout, with a prefix of the test's own; `variables` are further ones.
    static func ayon(_ bed: TestBed, prefix: String = "p", _ variables: [String: String] = [:]) throws -> SessionSite {
        let own = ["AYON_REDIS_KEY_PREFIX": "{\(bed.namespace)}:\(prefix)"]
        let parser = SessionLayoutParser(environment: Environment(own.merging(variables) { $1 }))
        return SessionSite(bed: bed, layout: try parser.preset(.ayon))
    }

    /// A layout of a configuration file; `NS` in it stands for the test's part.
    static func written(_ bed: TestBed, _ yaml: String) throws -> SessionSite {
        let text = "sessions:\n" + yaml.replacing("NS", with: "{\(bed.namespace)}").indented
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: text)
        let layout = try SessionLayoutParser(environment: Environment([:])).layout(of: file)
        guard let layout else { throw UnexpectedState("no layout in \(text)") }
        return SessionSite(bed: bed, layout: layout)
    }

    func key(_ token: String) -> String { self.layout.before + token + self.layout.after }

    func set(_ token: String, _ value: String) async throws {
        _ = try await self.redis.send("SET", self.key(token), value)
    }

    /// A session as the product writes it, last used so many seconds ago.
    func add(_ token: String, age: Double, isService: Bool = false, more: String = "") async throws {
        try await self.set(token, Self.session(token, lastUsed: Date.now.timeIntervalSince1970 - age, isService, more))
    }

    static func session(_ token: String, lastUsed: Double, _ isService: Bool = false, _ more: String = "") -> String {
        """
        {"client_info":null,"created":1.5,"is_api_key":\(isService),"is_service":\(isService),"last_used":\(lastUsed),\
        "token":"\(token)","user":{"data":{"isService":false},"name":"alice"}\(more)}
        """
    }

    func exists(_ token: String) async throws -> Bool {
        try await self.redis.send("EXISTS", self.key(token)).int == 1
    }

    /// Which of the tokens still have a key.
    func left(_ tokens: String...) async throws -> [String] {
        var left: [String] = []
        for token in tokens where try await self.exists(token) { left.append(token) }
        return left
    }

    func sweeper(
        lease: Duration = .seconds(120),
        form: SessionTokenForm = .prefix,
        database: ConnectionPool? = nil,
        isIndexed: Bool = false,
        patience: Patience = .ofTests
    ) -> SessionSweep {
        SessionSweep(
            layout: self.layout,
            queue: self.bed.queue,
            lease: lease,
            tokenForm: form,
            database: database,
            isIndexed: isIndexed,
            patience: patience,
            logger: self.bed.services.logger
        )
    }

    func sweep() async throws -> SweepReport { try await self.sweeper().run() }
}

extension String {
    fileprivate var indented: String { self.split(separator: "\n").map { "  \($0)\n" }.joined() }
}
