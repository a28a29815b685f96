import Foundation
package import Shared

/// Schemas of one test besides its own, which are dropped afterwards.
///
/// Their names start alike, with a text that no other test has, so that a group can find them.
package struct SchemaSet: Sendable {
    package let prefix: String

    package func name(_ suffix: String) -> String { self.prefix + suffix }

    /// A group of them all, as a file has it, indented for the top level.
    package func yaml(_ more: String = "") -> String {
        "schemas:\n  projects: {like: \"\(self.prefix)*\"\(more.isEmpty ? "" : ", " + more)}\n"
    }

    /// Lends a prefix, and drops every schema that begins with it, also when `body` throws.
    package static func with<Result>(_ body: (SchemaSet) async throws -> Result) async throws -> Result {
        let set = SchemaSet(prefix: "p\(String(UInt64.random(in: .min ... .max), radix: 36))_")
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(set)) } catch { result = .failure(error) }
        try await Task {
            try await withTestBed { bed in
                let names = try await bed.strings(
                    "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1)",
                    [set.prefix]
                )
                for name in names { try await bed.run("DROP SCHEMA \(SQLText.quoted(name)) CASCADE") }
            }
        }.value
        return try result.get()
    }
}

extension TestBed {
    /// Starts a run of a target in each schema of its group.
    package func startAll(_ name: String = "Target") async throws -> [RunRecord] {
        let entry = try self.services.catalog.entry(named: name)
        guard case .on(let knobs) = try self.services.resolve(entry) else {
            throw UnexpectedState("target \(name) is off")
        }
        let starter = self.services.runStarter(self.queue)
        var records: [RunRecord] = []
        for case .table(let target) in try await self.services.places(of: entry, self.connection) {
            records.append(try await starter.start(target, knobs: knobs, self.connection).run)
        }
        return records
    }
}
