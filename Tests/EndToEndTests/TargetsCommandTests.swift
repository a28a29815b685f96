import Testing

@Suite(.timeLimit(.minutes(5))) struct `Producer targets` {
    private struct Entry: Decodable {
        var name: String
        var on: Bool
        var reason: String?
        var error: String?
    }

    @Test func `lists all, with what is wrong in place of on or off`() async throws {
        try await withSandbox("presets: [distr]\n") { sandbox in
            // Legal in Distr: credentials of an instance's role, and no log records at all.
            let environment: [String: String?] = [
                "REGISTRY_ENABLED": "true", "REGISTRY_S3_BUCKET": "blobs", "LOG_RECORD_ENTRIES_MAX_COUNT": "0",
            ]
            let list = try await sandbox.producer("targets", "--json", environment: environment)
            #expect(list.status == .exited(0), "\(list.errors)")
            #expect(list.errors == "")
            let entries = try list.json([Entry].self)
            func entry(_ name: String) throws -> Entry { try #require(entries.first { $0.name == name }) }
            let blobs = try entry("ArtifactBlob")
            #expect(!blobs.on && blobs.reason == nil)
            #expect(blobs.error?.hasPrefix("store registry has no credentials: set REGISTRY_S3_ACCESS_KEY_ID") == true)
            let logs = try entry("DeploymentLogRecord")
            #expect(!logs.on && logs.reason == nil)
            #expect(logs.error?.hasPrefix("target DeploymentLogRecord: keeping 0 rows") == true)
            let states = try entry("OIDCState")
            #expect(states.on && states.reason == nil && states.error == nil)
            let metrics = try entry("DeploymentTargetMetrics")
            #expect(!metrics.on && metrics.error == nil)
            #expect(metrics.reason == "METRICS_ENTRIES_MAX_AGE is not set")

            let text = try await sandbox.producer("targets", environment: environment)
            #expect(text.status == .exited(0), "\(text.errors)")
            let lines = text.output.split(separator: "\n")
            let position = try #require(lines.firstIndex { $0.hasPrefix("ArtifactBlob ") })
            #expect(lines[position].contains("  error  "), "\(text.output)")
            #expect(lines[position + 1].contains("  store registry has no credentials: "), "\(text.output)")
            #expect(lines.contains { $0.hasPrefix("OIDCState ") && $0.contains("  on  ") }, "\(text.output)")
        }
    }
}
