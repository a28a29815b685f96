import FoundationEssentials

/// An absolute `http` or `https` address, without a user or a password.
package struct HTTPAddress: Sendable, Hashable {
    package let text: String
    /// Scheme, host and port: what must be the same for a header to be sent along.
    let origin: String
    /// For people: it holds no secret.
    package let host: String
    private let url: URL

    static let accepted = "http:// or https:// and a host, with a port or without, and a path"

    /// - Throws: `RejectedValue`, which does not show the text.
    init(_ text: String) throws(RejectedValue) {
        guard let url = URL(string: text), let address = HTTPAddress(url) else {
            throw RejectedValue(secret: "is no such address", accepted: Self.accepted)
        }
        self = address
    }

    private init?(_ url: URL) {
        let url = url.absoluteURL
        guard let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme),
            let host = url.host()?.lowercased(), !host.isEmpty, url.user() == nil, url.password() == nil
        else { return nil }
        let port = url.port ?? (scheme == "http" ? 80 : 443)
        self.url = url
        self.text = url.absoluteString
        self.host = host
        self.origin = "\(scheme)://\(host):\(port)"
    }

    /// Where a `Location` header leads from here; nil when that is no such address.
    func following(_ location: String) -> HTTPAddress? {
        URL(string: location, relativeTo: self.url).flatMap { HTTPAddress($0) }
    }
}
