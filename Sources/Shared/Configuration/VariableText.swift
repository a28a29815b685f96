/// Text of a configuration in which `${NAME}` and `${NAME:-value}` stand for variables, anywhere and any number of times.
package struct VariableText: Sendable, Hashable {
    private var parts: [Part] = []

    private enum Part: Sendable, Hashable {
        case literal(String)
        case variable(String, otherwise: String?)
    }

    /// Reads a text; braces of another form stay as they are.
    package init(_ text: String) {
        var rest = text[...]
        while let match = rest.firstMatch(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}/) {
            if match.range.lowerBound > rest.startIndex {
                self.parts.append(.literal(String(rest[..<match.range.lowerBound])))
            }
            self.parts.append(.variable(String(match.1), otherwise: match.2.map(String.init)))
            rest = rest[match.range.upperBound...]
        }
        if !rest.isEmpty { self.parts.append(.literal(String(rest))) }
    }

    /// The text, when no variable is in it.
    package var literal: String? {
        var text = ""
        for part in self.parts {
            guard case .literal(let more) = part else { return nil }
            text += more
        }
        return text
    }

    /// Puts the variables' values in.
    ///
    /// - `lookup`: collects what is not set, and what must not be shown.
    /// - `fill`: applied to what is no variable.
    /// - `escape`: applied to each variable's value.
    /// - Returns: nil when a variable without another value is not set.
    func value(
        _ lookup: inout VariableLookup,
        fill: (String) -> String = { $0 },
        escape: (String) -> String = { $0 }
    ) throws(ConfigurationError) -> String? {
        var text = ""
        var isWhole = true
        for part in self.parts {
            switch part {
            case .literal(let more): text += fill(more)
            case .variable(let name, let otherwise):
                if let value = try lookup.value(name) {
                    text += escape(value)
                } else if let otherwise {
                    text += escape(otherwise)
                } else {
                    isWhole = false
                    lookup.unset.append(name)
                }
            }
        }
        return isWhole ? text : nil
    }

    /// What an operator sets: the only variable, or else the place.
    func source(_ place: String) -> String {
        if self.parts.count == 1, case .variable(let name, _)? = self.parts.first { return name }
        return place
    }
}

/// Looks variables up, and remembers what it has found.
struct VariableLookup {
    let environment: Environment
    /// Names of variables that are not set.
    var unset: [String] = []
    /// Values of variables: what must be shown nowhere.
    private(set) var values: [String] = []

    init(_ environment: Environment) { self.environment = environment }

    fileprivate mutating func value(_ name: String) throws(ConfigurationError) -> String? {
        guard let value = try self.environment.value(name) else { return nil }
        self.values.append(value)
        return value
    }

    /// Why something is off; nil while nothing is missing.
    var reason: String? {
        var names: [String] = []
        for name in self.unset where !names.contains(name) { names.append(name) }
        guard !names.isEmpty else { return nil }
        return "\(names.joined(separator: " and ")) \(names.count == 1 ? "is" : "are") not set"
    }
}

/// Reads switches, Ebb's own and those that come from other products' variables, in all their spellings.
enum FlagText {
    static let accepted = "true or false (also 1, 0, yes, no, on, off, t, f, y, n)"

    static func parse(_ text: String) throws(RejectedValue) -> Bool {
        switch text.lowercased() {
        case "1", "true", "yes", "on", "t", "y": return true
        case "0", "false", "no", "off", "f", "n": return false
        default: throw RejectedValue(text, "is neither true nor false", accepted: Self.accepted)
        }
    }
}

/// Reads sizes: a number of bytes, or of `KiB` or `MiB`.
enum SizeText {
    static let accepted = "a number of bytes from 1 to 16MiB, such as 2048, 64KiB or 1MiB"

    static func parse(_ text: String) throws(RejectedValue) -> Int {
        let units = ["": 1, "KiB": 1_024, "MiB": 1_024 * 1_024]
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), let unit = units[String(text.dropFirst(digits.count))], number > 0,
            number <= 16 * 1_024 * 1_024 / unit
        else { throw RejectedValue(text, "is not such a size", accepted: Self.accepted) }
        return number * unit
    }
}
