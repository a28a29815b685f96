import Foundation
import Shared
import Testing

@Suite struct CatalogTests {
    private static func file(_ yaml: String) throws -> ConfigurationFile {
        try ConfigurationFile(name: "ebb.yaml", yaml: yaml)
    }

    private static func target(_ name: String) -> String {
        "targets:\n  \(name): {table: t, key: id, expires_at: e}\n"
    }

    @Test(arguments: Preset.allCases)
    func `a shipped preset is read`(_ preset: Preset) throws {
        let catalog = try Catalog.load(presets: [preset.rawValue], file: nil)
        #expect(!catalog.targets.isEmpty)
        #expect(catalog.targets.map(\.name) == catalog.targets.map(\.name).sorted())
    }

    @Test func `the Distr preset says what Distr does`() throws {
        let catalog = try Catalog.load(presets: ["distr"], file: nil)
        #expect(
            catalog.targets.map { "\($0.name) \($0.table): \($0.ruleInWords())" } == [
                "DeploymentLogRecord deploymentlogrecord: all but the newest LOG_RECORD_ENTRIES_MAX_COUNT per deployment_id, "
                    + "resource (by timestamp, id)",
                "DeploymentRevisionStatus deploymentrevisionstatus: older than STATUS_ENTRIES_MAX_AGE by created_at, "
                    + "but never the newest 1 per deploymentrevision.deployment_id (by created_at)",
                "DeploymentTargetLogRecord deploymenttargetlogrecord: all but the newest LOG_RECORD_ENTRIES_MAX_COUNT per "
                    + "deployment_target_id (by timestamp, id)",
                "DeploymentTargetMetrics deploymenttargetmetrics: older than METRICS_ENTRIES_MAX_AGE by created_at, "
                    + "but never the newest 1 per deployment_target_id (by created_at)",
                "OIDCState oidcstate: older than 10m by created_at",
                "Organization organization: older than 720h by deleted_at",
            ]
        )
        #expect(Array(catalog.removed.keys) == ["DeploymentTargetStatus"])
    }

    @Test func `the operator's targets join those of the presets, in the order of names`() throws {
        let catalog = try Catalog.load(presets: ["distr"], file: Self.file(Self.target("Elephants")))
        let shipped = try Catalog.load(presets: ["distr"], file: nil).targets.map(\.name)
        #expect(catalog.targets.map(\.name) == (shipped + ["Elephants"]).sorted())
        #expect(try catalog.target(named: "Elephants").table == "t")
    }

    @Test func `a shipped target cannot be replaced silently`() throws {
        let file = try Self.file(Self.target("DeploymentTargetMetrics"))
        let sentence =
            "ebb.yaml:2: targets.DeploymentTargetMetrics: the preset distr already has a target of this name; "
            + "accepted: another name, presets without distr, or nothing but protect here, which it keeps in addition"
        #expect(throws: ConfigurationError(sentence)) { try Catalog.load(presets: ["distr"], file: file) }
        #expect(try Catalog.load(presets: [], file: file).targets.map(\.table) == ["t"])
    }

    @Test func `a shipped target may be told to keep more`() throws {
        let more = "targets:\n  DeploymentRevisionStatus: {protect: [notificationrecord]}\n"
        let catalog = try Catalog.load(presets: ["distr"], file: Self.file(more))
        let shipped = try Catalog.load(presets: ["distr"], file: nil).target(named: "DeploymentRevisionStatus")
        let changed = try catalog.target(named: "DeploymentRevisionStatus")
        #expect(shipped.protect == [] && changed.protect == ["notificationrecord"])
        #expect(changed.table == shipped.table && changed.definitionHash != shipped.definitionHash)
        #expect(catalog.ofPresets.contains("DeploymentRevisionStatus"))
        for name in ["Organization", "ArtifactBlob"] {
            let file = try Self.file("targets:\n  \(name): {protect: [notificationrecord]}\n")
            let error = try #require(throws: ConfigurationError.self) {
                try Catalog.load(presets: ["distr"], file: file)
            }
            #expect("\(error)".hasPrefix("ebb.yaml:2: targets.\(name): \(name) has objects, or children"), "\(error)")
        }
        // Of a name that no preset has, all is wanted.
        #expect(throws: ConfigurationError.self) { try Catalog.load(presets: [], file: Self.file(more)) }
    }

    @Test func `a removed name may be used again`() throws {
        let catalog = try Catalog.load(presets: ["distr"], file: Self.file(Self.target("DeploymentTargetStatus")))
        #expect(catalog.removed.isEmpty)
        #expect(try catalog.target(named: "DeploymentTargetStatus").table == "t")
    }

    @Test func `an unknown preset is refused`() {
        #expect(throws: ConfigurationError("unknown preset ayno; accepted: distr, ayon")) {
            try Catalog.load(presets: ["ayno"], file: nil)
        }
    }

    @Test(arguments: [
        (
            "deploymenttargetmetrics",
            "unknown target deploymenttargetmetrics; did you mean DeploymentTargetMetrics? "
                + "(producer targets lists all)"
        ),
        ("Elephants", "unknown target Elephants (producer targets lists all)"),
        (
            "DeploymentTargetStatus",
            "the target DeploymentTargetStatus no longer exists: "
                + "Distr removed it in 2.20.0 (#2281); take its job out of the schedule"
        ),
    ])
    func `a name that is no target is explained`(_ name: String, _ sentence: String) throws {
        let catalog = try Catalog.load(presets: ["distr"], file: nil)
        #expect(throws: ConfigurationError(sentence)) { try catalog.target(named: name) }
    }

    @Test func `no target's name appears in the sources`() throws {
        let catalog = try Catalog.load(presets: Preset.names, file: nil)
        let names = catalog.targets.map(\.name) + catalog.removed.keys
        // Up from Tests/SharedTests/Catalog/CatalogTests.swift.
        var root = URL(filePath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { root.deleteLastPathComponent() }
        let sources = root.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var read = 0
        for case let file as URL in files where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            read += 1
            for name in names { #expect(!text.contains(name), "\(file.path()) knows \(name)") }
        }
        #expect(read > 10)
    }
}
