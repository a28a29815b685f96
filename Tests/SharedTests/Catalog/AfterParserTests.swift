import Testing

@testable import Shared

@Suite struct AfterParserTests {
    private static func load(_ after: String, key: String = "id", stores: String = Self.stores) throws -> Target {
        let yaml = "stores: {\(stores)}\ntargets: {T: {table: t, key: \(key), where: x, after: {\(after)}}}\n"
        return try Catalog.load(presets: [], file: ConfigurationFile(name: "ebb.yaml", yaml: yaml)).target(named: "T")
    }

    private static let stores = "files: {folder: /srv/files}, blobs: {bucket: bb}"

    @Test func `all there is to say`() throws {
        let target = try Self.load("update: UPDATE x, unlink: {store: blobs, path: name, size: 3}")
        #expect(target.after == After(update: "UPDATE x", unlink: .init(store: "blobs", path: "name", size: "3")))
        #expect(try Self.load("update: UPDATE x").after == After(update: "UPDATE x"))
        #expect(
            try Self.load("unlink: {store: files, path: name}").after
                == After(unlink: .init(store: "files", path: "name"))
        )
    }

    @Test func `every field is part of the definition`() throws {
        let targets = try [
            "update: a", "update: b", "update: a, unlink: {store: files, path: p}", "unlink: {store: files, path: p}",
            "unlink: {store: files, path: q}", "unlink: {store: blobs, path: p}",
            "unlink: {store: blobs, path: p, size: s}",
        ].map { try Self.load($0) }
        #expect(Set(targets.map(\.definitionHash)).count == targets.count)
    }

    @Test(arguments: [
        ("", "it says nothing; accepted: update, unlink or both"),
        ("update: ' '", "it is empty; accepted: an SQL statement"),
        ("unlink: {store: files}", "path"),
        ("unlink: {store: file, path: p}", "there is no store \"file\"; did you mean files?"),
        ("unlink: {store: files, path: p, size: s}", "accepted: size with a bucket only"),
        ("remove: x", "remove"),
    ])
    func `what it is not`(_ after: String, _ message: String) throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.load(after) }
        #expect(error?.description.contains(message) == true, "\(String(describing: error))")
    }

    @Test func `keys are of one column`() throws {
        let error = #expect(throws: ConfigurationError.self) {
            try Self.load("update: \"DELETE {keys}\"", key: "[a, b]")
        }
        #expect(error?.description.contains("{keys} needs a key of one column, and this one has 2") == true)
        _ = try Self.load("update: DELETE", key: "[a, b]")
    }

    @Test(arguments: [
        ("files: {folder: srv}", "accepted: an absolute path below /"),
        ("files: {folder: /}", "accepted: an absolute path below /"),
        ("files: {folder: /srv, bucket: bb}", "a folder has none; accepted: folder and enabled"),
        ("files: {}", "bucket"),
    ])
    func `a folder is an absolute path and nothing else`(_ stores: String, _ message: String) throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.load("update: x", stores: stores) }
        #expect(error?.description.contains(message) == true, "\(String(describing: error))")
    }

    @Test func `a store may be on for one value of a variable`() throws {
        let yaml = "stores: {files: {folder: /srv/files/, enabled: {value: \"${KIND:-local}\", is: local}}}\n"
        let stores = try StoreParser.stores(of: ConfigurationFile(name: "ebb.yaml", yaml: yaml))
        let store = try #require(stores.first)
        func state(_ variables: [String: String]) throws -> String {
            switch try store.resolveFolder(Environment(variables)) {
            case .on(let folder): folder.root
            case .off(let reason): reason
            }
        }
        #expect(try state([:]) == "/srv/files")
        #expect(try state(["KIND": "local"]) == "/srv/files")
        #expect(try state(["KIND": "s3"]) == "KIND is s3")
    }

    @Test(arguments: ["a", "a/b", "a b/c.d/..e", "ü"]) func `paths in a store`(_ path: String) throws {
        #expect(try StoredPath.parts(path).joined(separator: "/") == path)
    }

    @Test(arguments: ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b"])
    func `paths that are none`(_ path: String) {
        #expect(throws: FolderError.self) { try StoredPath.parts(path) }
    }
}
