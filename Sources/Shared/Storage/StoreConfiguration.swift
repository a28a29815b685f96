/// Where a bucket is and how it is reached: a store of the configuration with all its references looked up.
package struct StoreConfiguration: Sendable, Hashable {
    /// `https://host` or `http://host:port`; nil is AWS.
    package var endpoint: Endpoint?
    package var region: String
    package var bucket: String
    /// Whether the bucket is the path's first part, instead of the host's.
    package var usesPathStyle: Bool
    package var credentials: SignatureV4.Credentials
    /// Stands in front of all keys, so that two installations can share a bucket; empty for none.
    package var prefix: String

    package init(
        endpoint: Endpoint?,
        region: String,
        bucket: String,
        usesPathStyle: Bool,
        credentials: SignatureV4.Credentials,
        prefix: String = ""
    ) {
        self.endpoint = endpoint
        self.region = region
        self.bucket = bucket
        self.usesPathStyle = usesPathStyle
        self.credentials = credentials
        self.prefix = prefix
    }

    /// Scheme and authority.
    package struct Endpoint: Sendable, Hashable {
        package var scheme: String
        /// Host and, unless it is the scheme's own, port.
        package var authority: String

        package init(scheme: String, authority: String) {
            self.scheme = scheme
            self.authority = authority
        }
    }

    /// Names the place, for people and for the ledger: a run must not go on in another one.
    package var location: String { "\(self.base.authority)/\(self.bucket)/\(self.prefix)" }

    /// The endpoint's authority with the bucket in front, or without.
    var host: String { self.usesPathStyle ? self.base.authority : "\(self.bucket).\(self.base.authority)" }

    /// The path of the bucket, or of a key in it.
    func path(_ key: String = "") -> String { self.usesPathStyle ? "/\(self.bucket)/\(key)" : "/\(key)" }

    var scheme: String { self.base.scheme }

    private var base: Endpoint {
        self.endpoint ?? Endpoint(scheme: "https", authority: "s3.\(self.region).amazonaws.com" + self.suffix)
    }

    /// China's regions have a domain of their own.
    private var suffix: String { self.region.hasPrefix("cn-") ? ".cn" : "" }
}
