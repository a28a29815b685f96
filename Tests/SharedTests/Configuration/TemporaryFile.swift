import Foundation

/// Lends a file with this content, and removes it afterwards.
@discardableResult
func withTemporaryFile<Result>(_ content: String, _ body: (String) throws -> Result) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "ebb-test-\(UUID().uuidString).yaml")
    try Data(content.utf8).write(to: url)
    defer {
        do {
            try FileManager.default.removeItem(at: url)
        } catch {
            print("\(url.path()) is left behind: \(error)")
        }
    }
    return try body(url.path())
}
