/// Reads the `hooks` of a configuration file or a preset.
enum HookParser {
    /// The key of the file under which hooks stand.
    static let section = "hooks"

    private static let keys = ["http", "command", "min_interval", "enabled", "offline"]
    private static let httpKeys = [
        "method", "url", "headers", "body", "timeout", "retries", "backoff", "accept", "output",
    ]
    private static let commandKeys = ["argv", "environment", "cwd", "timeout", "output"]
    private static let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    private static let acceptedText = "a text, in which ${NAME} stands for a variable"
    private static let acceptedCodes = "HTTP codes from 100 to 599, such as 200, or ranges, such as 200-299"

    static func hooks(of file: ConfigurationFile) throws(ConfigurationError) -> [Hook] {
        var hooks: [Hook] = []
        for section in try file.root.entries() where section.key == Self.section {
            for entry in try section.value.entries() { hooks.append(try Self.hook(entry)) }
        }
        return hooks
    }

    private static func hook(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> Hook {
        let node = entry.value
        guard CatalogParser.isTargetName(entry.key) else {
            throw node.error("\"\(entry.key)\" is not a hook's name; accepted: \(CatalogParser.acceptedTarget)")
        }
        let fields = try node.fields(Self.keys)
        let action: Hook.Action
        switch (fields["http"], fields["command"]) {
        case (let http?, nil): action = .http(try Self.http(http.fields(Self.httpKeys)))
        case (nil, let command?): action = .command(try Self.command(command.fields(Self.commandKeys)))
        default: throw node.error("a hook is one of http and command; accepted: one of them")
        }
        return Hook(
            name: entry.key,
            action: action,
            minInterval: try Self.duration(fields["min_interval"]),
            enabled: try Self.flag(fields["enabled"]),
            offline: try Self.flag(fields["offline"])
        )
    }

    private static func http(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> Hook.HTTP {
        let url = try fields.required("url", accepted: "http:// or https:// and what follows")
        let text = try Self.text(url)
        if let literal = text.literal {
            _ = try url.parse(accepted: HTTPAddress.accepted) { (_) throws(RejectedValue) in try HTTPAddress(literal) }
        }
        var headers: [Hook.Header] = []
        for header in try fields["headers"]?.entries() ?? [] {
            guard header.key.wholeMatch(of: /[A-Za-z0-9!#$%&'*+.^_`|~-]+/) != nil else {
                throw header.value.error(
                    "\"\(header.key)\" is not a header's name; accepted: letters, digits and hyphens"
                )
            }
            headers.append(Hook.Header(name: header.key, value: try Self.text(header.value)))
        }
        return Hook.HTTP(
            method: try fields["method"]?.parse(accepted: Self.methods.joined(separator: ", ")) {
                (text) throws(RejectedValue) in try Self.method(text)
            } ?? "GET",
            url: text,
            headers: headers,
            body: try fields["body"].map { (node) throws(ConfigurationError) in try Self.text(node) },
            timeout: try Self.duration(fields["timeout"]) ?? .seconds(10),
            retries: try Self.number(fields["retries"], 0...20) ?? 2,
            backoff: try Self.duration(fields["backoff"]) ?? .seconds(1),
            accept: try fields["accept"].map { (node) throws(ConfigurationError) in try Self.codes(node) } ?? [
                200...299
            ],
            output: try Self.size(fields["output"])
        )
    }

    private static func command(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> Hook.Command {
        let list = try fields.required("argv", accepted: "the list of a program and its arguments")
        var arguments: [VariableText] = []
        for (text, _) in try list.texts(accepted: Self.acceptedText) { arguments.append(VariableText(text)) }
        if let program = arguments.first?.literal ?? (arguments.isEmpty ? "" : nil) {
            _ = try list.parseText(program) { (text) throws(RejectedValue) in try ResolvedHook.program(text) }
        }
        var environment: [String: VariableText] = [:]
        for variable in try fields["environment"]?.entries() ?? [] {
            guard variable.key.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil else {
                throw variable.value.error(
                    "\"\(variable.key)\" is not a variable's name; accepted: letters, digits and underscores"
                )
            }
            environment[variable.key] = try Self.text(variable.value)
        }
        return Hook.Command(
            arguments: arguments,
            environment: environment,
            directory: try fields["cwd"].map { (node) throws(ConfigurationError) in try Self.text(node) },
            timeout: try Self.duration(fields["timeout"]) ?? .seconds(60),
            output: try Self.size(fields["output"])
        )
    }

    // MARK: Values

    private static func text(_ node: ConfigurationNode) throws(ConfigurationError) -> VariableText {
        VariableText(try node.text(accepted: Self.acceptedText))
    }

    /// A switch, checked here when no variable is in it.
    static func flag(_ node: ConfigurationNode?) throws(ConfigurationError) -> VariableText? {
        guard let node else { return nil }
        let text = try Self.text(node)
        if let literal = text.literal {
            _ = try node.parseText(literal) { (text) throws(RejectedValue) in try FlagText.parse(text) }
        }
        return text
    }

    private static func duration(_ node: ConfigurationNode?) throws(ConfigurationError) -> Duration? {
        guard let node else { return nil }
        return try node.parse(accepted: DurationText.acceptedPositive) { (text) throws(RejectedValue) in
            try DurationText.parsePositive(text)
        }
    }

    private static func size(_ node: ConfigurationNode?) throws(ConfigurationError) -> Int {
        guard let node else { return 65_536 }
        return try node.parse(accepted: SizeText.accepted) { (text) throws(RejectedValue) in try SizeText.parse(text) }
    }

    private static func number(
        _ node: ConfigurationNode?,
        _ limits: ClosedRange<Int>
    ) throws(ConfigurationError) -> Int? {
        guard let node else { return nil }
        let kind = SettingKind<Int>.number(limits)
        return try node.parse(accepted: kind.accepted, kind.parse)
    }

    private static func method(_ text: String) throws(RejectedValue) -> String {
        guard Self.methods.contains(text) else {
            throw RejectedValue(text, "is no such method", accepted: Self.methods.joined(separator: ", "))
        }
        return text
    }

    private static func codes(_ node: ConfigurationNode) throws(ConfigurationError) -> [ClosedRange<Int>] {
        var codes: [ClosedRange<Int>] = []
        for (_, item) in try node.texts(accepted: Self.acceptedCodes) {
            codes.append(
                try item.parse(accepted: Self.acceptedCodes) { (text) throws(RejectedValue) in try Self.code(text) }
            )
        }
        guard !codes.isEmpty else { throw node.error("the list is empty; accepted: \(Self.acceptedCodes)") }
        return codes
    }

    private static func code(_ text: String) throws(RejectedValue) -> ClosedRange<Int> {
        if let match = text.wholeMatch(of: /([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?/), let from = Int(match.1) {
            let to = match.2.flatMap { Int($0) } ?? from
            if to >= from { return from...to }
        }
        throw RejectedValue(text, "is no such code", accepted: Self.acceptedCodes)
    }
}

extension ConfigurationNode {
    /// Checks a text that stands here.
    fileprivate func parseText<Value>(
        _ text: String,
        _ parser: (String) throws(RejectedValue) -> Value
    ) throws(ConfigurationError) -> Value {
        do { return try parser(text) } catch { throw ConfigurationError(name: self.place.description, rejected: error) }
    }
}
