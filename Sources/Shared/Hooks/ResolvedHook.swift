/// A hook with all its variables looked up.
struct ResolvedHook: Sendable {
    var action: Action
    /// What must be shown nowhere.
    var secrets: [String]

    enum Action: Sendable {
        case http(Hook.HTTP, address: HTTPAddress, headers: [(name: String, value: String)], body: String?)
        case command(Hook.Command, arguments: [String], environment: [String: String], directory: String?)
    }

    /// Whether a hook can run.
    enum Switch: Sendable {
        case on(ResolvedHook)
        case off(reason: String)
    }

    /// A program's path or name.
    static func program(_ text: String) throws(RejectedValue) -> String {
        guard !text.isEmpty, text.hasPrefix("/") || !text.contains("/") else {
            let accepted = "an absolute path, or a name that is looked up in PATH"
            throw RejectedValue(text, "is no program", accepted: accepted)
        }
        return text
    }

    /// The values of a run in a text, each made fit for it; braces around anything else stay.
    static func fill(_ text: String, _ context: [String: String], escape: (String) -> String = { $0 }) -> String {
        text.replacing(/\{([a-z_]+)\}/) { match in
            context[String(match.1)].map(escape) ?? String(match.0)
        }
    }

    /// A value as it stands between the quotes of a JSON string.
    static func json(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

extension Hook {
    /// Looks its variables up.
    ///
    /// - `context`: values of the run for its `{name}`s.
    /// - `isOffline`: whether nothing outside may be called; programs of this machine may, unless their hook says otherwise.
    /// - Throws: `ConfigurationError` for a value that cannot be used.
    func resolve(
        _ environment: Environment,
        _ context: [String: String],
        isOffline: Bool
    ) throws(ConfigurationError) -> ResolvedHook.Switch {
        var lookup = VariableLookup(environment)
        if let enabled = self.enabled {
            guard let isEnabled = try self.flag(enabled, "enabled", &lookup) else {
                return .off(reason: lookup.reason ?? "it is not enabled")
            }
            if !isEnabled { return .off(reason: "\(enabled.source("enabled")) is false") }
        }
        if let offline = self.offline, try self.flag(offline, "offline", &lookup) == true {
            return .off(reason: "\(offline.source("offline")) is true")
        }
        // An offline switch that is not set is not on.
        lookup = VariableLookup(environment)
        let action: ResolvedHook.Action?
        switch self.action {
        case .http(let http):
            if isOffline { return .off(reason: "the setting offline is on") }
            action = try self.http(http, context, &lookup)
        case .command(let command): action = try self.command(command, context, &lookup)
        }
        guard let action else { return .off(reason: lookup.reason ?? "something is not set") }
        return .on(ResolvedHook(action: action, secrets: lookup.values.filter { $0.count >= 4 }))
    }

    private func http(
        _ http: Hook.HTTP,
        _ context: [String: String],
        _ lookup: inout VariableLookup
    ) throws(ConfigurationError) -> ResolvedHook.Action? {
        let url = try http.url.value(&lookup)
        var headers: [(name: String, value: String)] = []
        for header in http.headers {
            guard let value = try header.value.value(&lookup) else { continue }
            guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
                throw ConfigurationError(
                    name: header.value.source(self.place("headers.\(header.name)")),
                    rejected: RejectedValue(secret: "holds a line break or a control character", accepted: "one line")
                )
            }
            headers.append((header.name, value))
        }
        let body = try http.body?.value(
            &lookup,
            fill: { ResolvedHook.fill($0, context, escape: ResolvedHook.json) },
            escape: ResolvedHook.json
        )
        guard let url, lookup.unset.isEmpty else { return nil }
        let address = try self.parse(url, http.url.source(self.place("url"))) { (text) throws(RejectedValue) in
            try HTTPAddress(text)
        }
        return .http(http, address: address, headers: headers, body: body)
    }

    private func command(
        _ command: Hook.Command,
        _ context: [String: String],
        _ lookup: inout VariableLookup
    ) throws(ConfigurationError) -> ResolvedHook.Action? {
        var arguments: [String] = []
        func fill(_ text: String) -> String { ResolvedHook.fill(text, context) }
        for (position, argument) in command.arguments.enumerated() {
            // Which program it is, no value of a run decides.
            let text = try argument.value(&lookup, fill: position == 0 ? { $0 } : fill)
            if let text { arguments.append(text) }
        }
        var variables: [String: String] = [:]
        for (name, value) in command.environment { variables[name] = try value.value(&lookup, fill: fill) }
        let directory = try command.directory?.value(&lookup)
        guard lookup.unset.isEmpty, let program = arguments.first else { return nil }
        let place = command.arguments.first?.source(self.place("argv")) ?? ""
        _ = try self.parse(program, place) { (text) throws(RejectedValue) in try ResolvedHook.program(text) }
        if variables["PATH"] == nil { variables["PATH"] = try lookup.environment.value("PATH") ?? Self.path }
        return .command(command, arguments: arguments, environment: variables, directory: directory)
    }

    /// As POSIX systems have it.
    private static let path = "/usr/local/bin:/usr/bin:/bin"

    private func flag(
        _ text: VariableText,
        _ key: String,
        _ lookup: inout VariableLookup
    ) throws(ConfigurationError) -> Bool? {
        guard let value = try text.value(&lookup) else { return nil }
        return try self.parse(value, text.source(self.place(key))) { (text) throws(RejectedValue) in
            try FlagText.parse(text)
        }
    }

    private func place(_ key: String) -> String { "\(HookParser.section).\(self.name).\(key)" }

    private func parse<Value>(
        _ text: String,
        _ source: String,
        _ parser: (String) throws(RejectedValue) -> Value
    ) throws(ConfigurationError) -> Value {
        do { return try parser(text) } catch { throw ConfigurationError(name: source, rejected: error) }
    }
}
