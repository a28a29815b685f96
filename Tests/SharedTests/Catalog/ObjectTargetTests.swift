import Testing

@testable import Shared

@Suite struct ObjectTargetTests {
    private static let stores = "stores: {blobs: {bucket: bb}}\n"

    private static func catalog(_ yaml: String) throws -> Catalog {
        try Catalog.load(presets: [], file: ConfigurationFile(name: "ebb.yaml", yaml: Self.stores + yaml))
    }

    private static func target(_ fields: String) throws -> ObjectTarget? {
        try Self.catalog("targets: {Blobs: {\(fields)}}").objects(of: "Blobs")
    }

    private static let least = """
        objects: {store: blobs, prefix: "sha256:", keys: "[0-9a-f]{64}"}, min_age: 24h, \
        unreferenced: {table: version, column: digest}
        """

    @Test func `the least there has to be`() throws {
        let target = try #require(try Self.target(Self.least))
        #expect(
            target
                == ObjectTarget(
                    name: "Blobs",
                    store: "blobs",
                    prefix: "sha256:",
                    keys: try KeyPattern("[0-9a-f]{64}"),
                    minAge: .literal("24h"),
                    references: [.init(table: "version", column: "digest")]
                )
        )
        #expect(target.ruleInWords() == "older than 24h and in no version.digest")
        #expect(target.keys.hexDigits == 64)
    }

    @Test func `all there is to say`() throws {
        let target = try #require(
            try Self.target(
                """
                objects: {store: blobs, prefix: x/, keys: "blob-.+"}, min_age: ${AGE:-90s}, \
                unreferenced: [{table: a, column: x}, {schema: s, table: "\\"B\\"", column: y}], quarantine: 7d, \
                leftovers: {prefix: chunks/, age: 24h}, multipart: 36h
                """
            )
        )
        #expect(target.references == [.init(table: "a", column: "x"), .init(schema: "s", table: "B", column: "y")])
        #expect(target.quarantine == .seconds(7 * 86_400) && target.multipart == .seconds(36 * 3_600))
        #expect(target.leftovers == .init(prefix: "chunks/", age: .seconds(86_400)))
        #expect(target.keys.hexDigits == nil)
        #expect(
            target.ruleInWords()
                == "older than 90s and in no a.x or B.y, 7d after a run has marked it; chunks/ older than 24h; "
                + "uploads in parts older than 36h"
        )
        let defaulted = try target.resolveKnobs(environment: Environment([:]))
        #expect(defaulted == .on(KnobValues(maxAge: .seconds(90))))
        #expect(
            try target.resolveKnobs(environment: Environment(["AGE": "1h"])) == .on(KnobValues(maxAge: .seconds(3_600)))
        )
        #expect(throws: ConfigurationError.self) { try target.resolveKnobs(environment: Environment(["AGE": "0s"])) }
    }

    @Test func `every field but the knob is part of the definition`() throws {
        let target = try #require(try Self.target(Self.least))
        var changed: [ObjectTarget] = []
        func change(_ body: (inout ObjectTarget) throws -> Void) rethrows {
            var other = target
            try body(&other)
            changed.append(other)
        }
        change { $0.prefix = "x" }
        try change { $0.keys = try KeyPattern("x") }
        change { $0.references.append(.init(table: "t", column: "c")) }
        change { $0.references[0].schema = "s" }
        change { $0.quarantine = .seconds(1) }
        change { $0.leftovers = .init(prefix: "l", age: .seconds(1)) }
        change { $0.multipart = .seconds(1) }
        #expect(Set(changed.map(\.definitionHash) + [target.definitionHash]).count == changed.count + 1)
        var same = target
        same.minAge = .literal("1h")
        #expect(same.definitionHash == target.definitionHash)
    }

    @Test func `what a key is`() throws {
        let target = try #require(try Self.target(Self.least + ", leftovers: {prefix: chunks/, age: 1h}"))
        let isKey = target.keys.matcher()
        let digest = String(repeating: "0a", count: 32)
        for (key, kind): (String, ObjectTarget.Kind?) in [
            ("sha256:" + digest, .referable), ("sha256:" + digest.uppercased(), nil), ("sha256:" + digest + "0", nil),
            ("sha256:", nil), (digest, nil), ("x/sha256:" + digest, nil), ("chunks/x", .leftover), ("chunks", nil),
            ("", nil),
        ] { #expect(target.kind(of: key, isKey) == kind, "\(key)") }
    }

    @Test(arguments: [
        ("objects: {store: blobs, keys: x}", "\"min_age\" is missing"),
        ("objects: {store: blobs, keys: x}, min_age: 1h", "\"unreferenced\" is missing"),
        ("objects: {store: blobs, keys: x}, min_age: 1h, unreferenced: []", "every object would go"),
        ("objects: {store: blob, keys: x}, min_age: 1h, unreferenced: {table: t, column: c}", "did you mean blobs?"),
        (
            "objects: {store: blobs, keys: \"[\"}, min_age: 1h, unreferenced: {table: t, column: c}",
            "no regular expression"
        ),
        (
            "objects: {store: blobs, keys: \"x*\"}, min_age: 1h, unreferenced: {table: t, column: c}",
            "matches an empty key"
        ),
        ("\(least), table: t", "unknown key"), ("\(least), quarantine: 0s", "not greater than zero"),
        ("\(least), leftovers: {prefix: \"sha\", age: 1h}", "none starts with the other"),
        ("\(least), leftovers: {prefix: \"\", age: 1h}", "it is empty"),
    ])
    func `what cannot be meant is refused`(_ fields: String, _ sentence: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try Self.target(fields) }
        #expect("\(error)".contains(sentence), "\(error)")
    }

    @Test func `digests are cut so that no batch is large, and cover every key`() throws {
        let target = try #require(try Self.target(Self.least + ", leftovers: {prefix: l/, age: 1h}, multipart: 1h"))
        for (keys, digits) in [(0, 0), (5_000, 0), (5_001, 1), (80_000, 1), (100_000, 2), (20_000_000, 3)] {
            #expect(ObjectCut.digits(keys: keys, target) == digits, "\(keys)")
        }
        let cut = ObjectCut(target, digits: 2)
        #expect(cut.count == 258)
        #expect(cut[0] == .prefix("sha256:00") && cut[255] == .prefix("sha256:ff") && cut[16] == .prefix("sha256:10"))
        #expect(cut[256] == .prefix("l/") && cut[257] == .uploads)
        #expect(ObjectCut(target, digits: 0)[0] == .prefix("sha256:"))
    }

    @Test(arguments: [
        BatchRange.objects(.prefix("sha256:0a")), .objects(.keys(["a", "b \""])), .objects(.keys([])),
        .objects(.uploads),
    ])
    func `ranges of objects come back from a message`(_ range: BatchRange) throws {
        #expect(try BatchRange(encoded: range.encoded) == range)
    }
}
