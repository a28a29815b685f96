import Foundation
import Testing

@testable import Shared

/// A store's folder, as removals find it.
@Suite struct FolderStoreTests {
    private func withStore(_ body: (FolderStore, URL) async throws -> Void) async throws {
        let place = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
        let root = place.appending(path: "root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        defer {
            do { try FileManager.default.removeItem(at: place) } catch {
                print("\(place.path()) is left behind: \(error)")
            }
        }
        try await body(FolderStore(root: root.path()), root)
    }

    private func write(_ path: String, in root: URL) throws {
        let file = root.path() + "/" + path
        let folder = file.split(separator: "/").dropLast().joined(separator: "/")
        try FileManager.default.createDirectory(atPath: "/" + folder, withIntermediateDirectories: true)
        #expect(FileManager.default.createFile(atPath: file, contents: Data("x".utf8)), "\(path)")
    }

    private func isThere(_ path: String, in root: URL) -> Bool {
        FileManager.default.fileExists(atPath: root.path() + "/" + path)
    }

    private var now: Int { Int(Date.now.timeIntervalSince1970) + 1 }

    @Test(arguments: ["../x", "a/../x", "../\u{301}x", "a//x", "", "/x", ".", "a/\u{0}"])
    func `a path that could lead out is refused`(_ path: String) {
        #expect(throws: FolderError.self) { try StoredPath.parts(path) }
    }

    @Test(arguments: ["link/x", "link/\u{301}x"])
    func `a symbolic link is not followed`(_ path: String) async throws {
        try await self.withStore { store, root in
            let outside = root.deletingLastPathComponent().appending(path: "outside")
            try FileManager.default.createDirectory(at: outside, withIntermediateDirectories: true)
            try self.write(String(path.unicodeScalars.dropFirst(5)), in: outside)
            try FileManager.default.createSymbolicLink(
                atPath: root.path() + "/link",
                withDestinationPath: outside.path()
            )
            await #expect(throws: FolderError.self) { try await store.check(foldersOf: [path]) }
            await #expect(throws: FolderError.self) { try await store.remove([path], writtenBy: self.now) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: outside.path()).count == 1)
        }
    }

    @Test func `two forms of a letter are two folders`() async throws {
        try await self.withStore { store, root in
            let (one, other) = ("\u{e9}", "e\u{301}")
            for path in ["\(one)/a", "\(one)/x", "\(other)/x"] { try self.write(path, in: root) }
            #expect(try await store.remove(["\(one)/a", "\(other)/x"], writtenBy: self.now) == 0)
            #expect(self.isThere("\(one)/x", in: root))
            #expect(!self.isThere("\(one)/a", in: root) && !self.isThere("\(other)/x", in: root))
        }
    }

    @Test func `a file that was written to later stays, and is counted`() async throws {
        try await self.withStore { store, root in
            try self.write("a/old", in: root)
            try self.write("a/new", in: root)
            let moment = Date(timeIntervalSince1970: 1_000_000)
            try FileManager.default.setAttributes([.modificationDate: moment], ofItemAtPath: root.path() + "/a/old")
            #expect(try await store.remove(["a/old", "a/new"], writtenBy: 1_000_000) == 1)
            #expect(self.isThere("a/new", in: root) && !self.isThere("a/old", in: root))
        }
    }

    @Test func `what is missing is as good as removed, unless nothing is there at all`() async throws {
        try await self.withStore { store, root in
            await #expect(throws: FolderError.self) { try await store.remove(["a/x"], writtenBy: self.now) }
            await #expect(throws: FolderError.self) { try await store.sizes(of: ["a/x"]) }
            try self.write("b/y", in: root)
            #expect(try await store.remove(["a/x", "b/y"], writtenBy: self.now) == 0)
            #expect(!self.isThere("b/y", in: root))
            // The folder on the first level is left, so that the store is not taken for an empty mount.
            #expect(try await store.remove(["b/y"], writtenBy: self.now) == 0)
        }
    }

    @Test(arguments: [
        ("/storage/server/projects", "storage/server/projects/"), ("a/b/", "a/b/"), ("/", ""),
    ])
    func `a root is a prefix without its first slash`(_ root: String, _ prefix: String) throws {
        #expect(try StoreDefinition.root(root) == prefix)
        #expect(throws: RejectedValue.self) { try StoreDefinition.root("/{instance_id}\(root)") }
    }
}
