import Testing

@testable import Shared

private struct UnexpectedSwitch: Error {}

/// Switches of all kinds are read alike, and a wrong one stops a program at its start.
@Suite struct SwitchTests {
    private static let yaml = """
        presets: []
        schemas: {projects: {like: "project_*", skip: {query: SELECT 1, when: "${SKIP:-false}"}}}

        """

    private func services(_ variables: [String: String]) throws -> Services {
        try withTemporaryFile(Self.yaml) { path in
            try Services(environment: Environment(["EBB_CONFIG": path].merging(variables) { $1 }), label: "ebb.test")
        }
    }

    @Test(arguments: [
        ("yes", true), ("ON", true), ("1", true), ("t", true), ("no", false), ("off", false), ("F", false),
    ])
    func `schemas to skip have a switch like all others`(_ text: String, _ skips: Bool) throws {
        let services = try self.services(["SKIP": text])
        #expect(try services.catalog.schemaGroups.first?.skips(services.environment) == skips)
        let store = StoreDefinition(name: "s", fields: [.enabled: .variable("SKIP")])
        // One that is on lacks a bucket all the same.
        guard case .off(let reason) = try store.resolve(services.environment) else { throw UnexpectedSwitch() }
        #expect(reason == (skips ? "stores.s.bucket is not set" : "SKIP is \(text)"))
        #expect(try EbbConfiguration.load(environment: Environment(["EBB_OFFLINE": text])).offline == skips)
    }

    @Test(arguments: ["x", ""])
    func `a wrong one is refused before anything is done`(_ text: String) {
        let expected = ConfigurationError(
            name: "SKIP",
            rejected: RejectedValue(text, "is neither true nor false", accepted: FlagText.accepted)
        )
        #expect(throws: expected) { try self.services(["SKIP": text]) }
    }
}
