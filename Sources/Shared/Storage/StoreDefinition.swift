/// A named store as the configuration has it: values, or variables that hold them.
package struct StoreDefinition: Sendable, Hashable {
    package var name: String
    /// By field; what is not given has its default.
    package var fields: [Field: Knob]
    /// The value of `enabled` with which there is one; nil: `true`.
    package var enabledValue: String?

    package init(name: String, fields: [Field: Knob]) {
        self.name = name
        self.fields = fields
    }

    /// What a store may say.
    package enum Field: String, Sendable, Hashable, CaseIterable {
        /// Whether there is one; while it is not `true`, targets of the store are off.
        case enabled
        case endpoint
        case region
        case bucket
        case pathStyle = "path_style"
        case accessKeyID = "access_key_id"
        case secretAccessKey = "secret_access_key"
        case sessionToken = "session_token"
        case prefix
        /// In place of a prefix: a folder that stands in front of every key, without its first slash.
        case root
        /// A folder instead of a bucket: its absolute path.
        case folder
    }

    /// Whether it is a folder, whose files belong to rows, and no bucket.
    package var isFolder: Bool { self.fields[.folder] != nil }

    /// The fields that a file must not hold themselves.
    static let secrets: Set<Field> = [.secretAccessKey, .sessionToken]
}

/// Whether a store can be used.
package enum StoreSwitch: Sendable {
    case on(StoreConfiguration)
    /// Not configured; the reason names what is missing.
    case off(reason: String)
}

/// Whether a folder can be used.
package enum FolderSwitch: Sendable {
    case on(FolderStore)
    /// Not configured; the reason names what is missing.
    case off(reason: String)
}

extension StoreDefinition {
    /// Looks its variables up.
    ///
    /// - Throws: `ConfigurationError` for a value that cannot be used, and for a store without credentials.
    package func resolve(_ environment: Environment) throws(ConfigurationError) -> StoreSwitch {
        if let reason = try self.whyOff(.bucket, environment) { return .off(reason: reason) }
        guard let bucket = try self.value(.bucket, environment) else { return .off(reason: self.unset(.bucket)) }
        let endpoint: StoreConfiguration.Endpoint?
        if let text = try self.value(.endpoint, environment) {
            endpoint = try self.parse(.endpoint, text, Self.endpoint)
        } else {
            endpoint = nil
        }
        var prefix = try self.value(.prefix, environment)?.text ?? ""
        if let root = try self.value(.root, environment) { prefix = try self.parse(.root, root, Self.root) }
        // As boto3 does: a storage at an address of its own seldom has names for its buckets. A variable that is not set means no.
        var usesPathStyle = endpoint != nil && self.fields[.pathStyle] == nil
        if let text = try self.value(.pathStyle, environment) {
            usesPathStyle = try self.parse(.pathStyle, text, FlagText.parse)
        }
        return .on(
            StoreConfiguration(
                endpoint: endpoint,
                region: try self.value(.region, environment)?.text ?? Self.defaultRegion,
                bucket: try self.parse(.bucket, bucket, Self.bucket),
                usesPathStyle: usesPathStyle,
                credentials: try self.credentials(environment),
                prefix: prefix
            )
        )
    }

    /// The same for a folder.
    package func resolveFolder(_ environment: Environment) throws(ConfigurationError) -> FolderSwitch {
        if let reason = try self.whyOff(.folder, environment) { return .off(reason: reason) }
        guard let folder = try self.value(.folder, environment) else { return .off(reason: self.unset(.folder)) }
        return .on(FolderStore(root: try self.parse(.folder, folder, Self.folder)))
    }

    /// Why the store is off; nil when it is on.
    ///
    /// - `main`: the field without which there is none.
    private func whyOff(_ main: Field, _ environment: Environment) throws(ConfigurationError) -> String? {
        if self.fields[.enabled] != nil {
            guard let enabled = try self.value(.enabled, environment) else { return self.unset(.enabled) }
            let isEnabled: Bool
            if let value = self.enabledValue {
                isEnabled = enabled.text == value
            } else {
                isEnabled = try self.parse(.enabled, enabled, FlagText.parse)
            }
            guard isEnabled else { return "\(self.source(.enabled)) is \(enabled.text)" }
        }
        return try self.value(main, environment) == nil ? self.unset(main) : nil
    }

    /// What AWS calls the region of a request that names none.
    private static let defaultRegion = "us-east-1"

    /// The store's own keys, else those of AWS's variables.
    private func credentials(_ environment: Environment) throws(ConfigurationError) -> SignatureV4.Credentials {
        let own = (id: try self.value(.accessKeyID, environment), key: try self.value(.secretAccessKey, environment))
        if let id = own.id, let key = own.key {
            let token = try self.value(.sessionToken, environment)
            return .init(accessKeyID: id.text, secretAccessKey: key.text, sessionToken: token?.text)
        }
        if let id = try environment.value("AWS_ACCESS_KEY_ID"),
            let key = try environment.value("AWS_SECRET_ACCESS_KEY"),
            own.id == nil, own.key == nil
        {
            let token = try environment.value("AWS_SESSION_TOKEN")
            return .init(accessKeyID: id, secretAccessKey: key, sessionToken: token)
        }
        throw ConfigurationError(
            "store \(self.name) has no credentials: set \(self.source(.accessKeyID)) and \(self.source(.secretAccessKey)), "
                + "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (roles and profiles, the rest of AWS's chain, are not read)"
        )
    }

    private struct Value {
        var text: String
        var source: String
    }

    private func value(_ field: Field, _ environment: Environment) throws(ConfigurationError) -> Value? {
        switch self.fields[field] {
        case nil: return nil
        case .literal(let text)?: return Value(text: text, source: self.source(field))
        case .variable(let name, let otherwise, _)?:
            return (try environment.value(name) ?? otherwise).map { Value(text: $0, source: name) }
        }
    }

    private func unset(_ field: Field) -> String { "\(self.source(field)) is not set" }

    /// What an operator sets for a field.
    private func source(_ field: Field) -> String {
        if let name = self.fields[field]?.variableName { return name }
        return "stores.\(self.name).\(field.rawValue)"
    }

    private func parse<Parsed>(
        _ field: Field,
        _ value: Value,
        _ parser: (String) throws(RejectedValue) -> Parsed
    ) throws(ConfigurationError) -> Parsed {
        do { return try parser(value.text) } catch { throw ConfigurationError(name: value.source, rejected: error) }
    }

    static func endpoint(_ text: String) throws(RejectedValue) -> StoreConfiguration.Endpoint {
        // Anything else in it would have to be signed, too.
        guard let match = text.wholeMatch(of: /(https?):\/\/([A-Za-z0-9._\-\[\]:]+)\/?/) else {
            throw RejectedValue(
                text.contains("@") ? "(hidden)" : text,
                "is no endpoint",
                accepted: "http:// or https:// and a host, with a port or without"
            )
        }
        var authority = String(match.2).lowercased()
        // HTTP clients leave a scheme's own port out of the Host header, which is signed.
        for (scheme, port) in [("http", ":80"), ("https", ":443")] where match.1 == scheme && authority.hasSuffix(port)
        {
            authority.removeLast(port.count)
        }
        return StoreConfiguration.Endpoint(scheme: String(match.1), authority: authority)
    }

    static func folder(_ text: String) throws(RejectedValue) -> String {
        let path = text.reversed().drop { $0 == "/" }.reversed()
        guard text.hasPrefix("/"), !path.isEmpty else {
            throw RejectedValue(text, "is no folder of its own", accepted: "an absolute path below /")
        }
        return String(path)
    }

    /// The prefix that a folder makes.
    static func root(_ text: String) throws(RejectedValue) -> String {
        guard !text.contains("{") else {
            throw RejectedValue(
                text,
                "has a place to be filled in",
                accepted: "the folder as it stands in front of keys"
            )
        }
        let path = String(text.drop { $0 == "/" }.reversed().drop { $0 == "/" }.reversed())
        return path.isEmpty ? "" : path + "/"
    }

    static func bucket(_ text: String) throws(RejectedValue) -> String {
        guard text.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._\-]{1,254}/) != nil else {
            throw RejectedValue(text, "is no bucket's name", accepted: "letters, digits, dots, hyphens and underscores")
        }
        return text
    }
}
