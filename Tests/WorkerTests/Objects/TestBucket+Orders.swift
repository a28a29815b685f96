import Foundation
import Shared
import TestSupport

/// What only tests of targets of objects ask of the server besides S3.
extension TestBucket {
    private struct Setting: Encodable {
        var bucket: String
        var ahead: Int?
        var uploads: Int?
    }

    /// Lets the storage's clock be so many seconds ahead of this machine's; what is in the bucket keeps its times.
    func setClock(ahead: Int) async throws { try await self.set("clock", Setting(bucket: self.name, ahead: ahead)) }

    /// Lets a page show no more than so many uploads in parts.
    func limitPages(uploads: Int) async throws {
        try await self.set("pages", Setting(bucket: self.name, uploads: uploads))
    }

    private func set(_ verb: String, _ setting: Setting) async throws {
        let body = Array(try JSONEncoder().encode(setting))
        let request = HTTPTransport.Request(method: "POST", url: "\(self.url)/_ebb/\(verb)", body: body)
        let response = try await HTTPTransport.shared.send(request, timeout: .seconds(180))
        guard response.status == 200 else { throw UnexpectedState("\(verb): HTTP \(response.status)") }
    }
}
