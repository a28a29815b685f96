/// One setting: what it is called, what it accepts, and where its value goes.
///
/// The loader, the error texts and the documentation all read this table, so they cannot disagree.
package struct Setting: Sendable {
    /// The name in the file, with a dot for each level: `leases.duration`.
    package let key: String
    /// The environment variable that overrides the file: `EBB_LEASES_DURATION`.
    package let variable: String
    /// What may be written, in words.
    package let accepted: String
    /// What holds when nothing is written, as it would be written.
    package let defaultText: String
    /// What the setting is for, in one line.
    package let purpose: String
    /// Whether the file takes a list and the variable commas.
    package let isList: Bool
    /// Whether the value must never be shown.
    package let isSecret: Bool
    let store: @Sendable (inout EbbConfiguration, [String]) throws(RejectedValue) -> Void

    /// A setting with one value.
    init<Value>(
        _ key: String,
        _ property: any WritableKeyPath<EbbConfiguration, Value> & Sendable,
        _ kind: SettingKind<Value>,
        _ purpose: String,
        variable: String? = nil,
        isSecret: Bool = false
    ) {
        self.key = key
        self.variable = variable ?? Self.variable(for: key)
        self.accepted = kind.accepted
        self.defaultText = kind.format(EbbConfiguration()[keyPath: property])
        self.purpose = purpose
        self.isList = false
        self.isSecret = isSecret
        self.store = { (configuration, words) throws(RejectedValue) in
            configuration[keyPath: property] = try kind.parse(words.joined(separator: ","))
        }
    }

    /// A setting with a list of values; the word `none` stands for the empty list, because an empty variable is an error.
    init<Value>(
        _ key: String,
        _ property: any WritableKeyPath<EbbConfiguration, [Value]> & Sendable,
        listOf kind: SettingKind<Value>,
        _ purpose: String
    ) {
        self.key = key
        self.variable = Self.variable(for: key)
        self.accepted = "\(kind.accepted), or none alone"
        let defaults = EbbConfiguration()[keyPath: property].map(kind.format)
        self.defaultText = defaults.isEmpty ? "none" : defaults.joined(separator: ",")
        self.purpose = purpose
        self.isList = true
        self.isSecret = false
        self.store = { (configuration, words) throws(RejectedValue) in
            var values: [Value] = []
            for word in words == ["none"] ? [] : words {
                do throws(RejectedValue) { values.append(try kind.parse(word)) } catch {
                    throw error.accepting(also: "none alone")
                }
            }
            configuration[keyPath: property] = values
        }
    }

    /// The words of a variable's text.
    func words(in text: String) -> [String] {
        guard self.isList else { return [text] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map { word in
            String(word.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// The keys that the file accepts right after `prefix`, in the table's order.
    static func keys(after prefix: String) -> [String] {
        var keys: [String] = []
        for setting in Self.all where setting.key.hasPrefix(prefix) {
            let key = String(setting.key.dropFirst(prefix.count).prefix { $0 != "." })
            if !keys.contains(key) { keys.append(key) }
        }
        return keys
    }

    private static func variable(for key: String) -> String {
        "EBB_" + key.uppercased().replacing(".", with: "_")
    }
}
