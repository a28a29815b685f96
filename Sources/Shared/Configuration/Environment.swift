import Configuration
import FoundationEssentials

/// The process environment; nothing else in Ebb reads it.
///
/// Every variable may also come as `NAME_FILE`, the path of a file that holds the value: that is how container platforms
/// hand over secrets.
package struct Environment: Sendable {
    private let provider: EnvironmentVariablesProvider
    /// The names of all variables, in order.
    let names: [String]

    /// An environment of exactly these variables, for tests.
    package init(_ variables: [String: String]) {
        self.provider = EnvironmentVariablesProvider(environmentVariables: variables)
        self.names = variables.keys.sorted()
    }

    private init(provider: EnvironmentVariablesProvider) {
        self.provider = provider
        self.names = ProcessInfo.processInfo.environment.keys.sorted()
    }

    /// The variables this process was started with.
    package static func process() -> Environment {
        Environment(provider: EnvironmentVariablesProvider())
    }

    /// The value of `name`, or of the file that `name` with `_FILE` points to, without the newlines at its end.
    ///
    /// A variable that is present but empty gives an empty string, not nil: it was meant to say something, and guessing
    /// that it means "unset" would switch a clean-up off without a word.
    package func value(_ name: String) throws(ConfigurationError) -> String? {
        let fileVariable = name + "_FILE"
        let plain = try self.variable(name)
        guard let path = try self.variable(fileVariable) else { return plain }
        guard plain == nil else {
            throw ConfigurationError("\(name) and \(fileVariable) are both set; accepted: one of them")
        }
        let content = try TextFile.read(path, namedBy: fileVariable)
        return String(content.reversed().drop { $0.isNewline }.reversed())
    }

    private func variable(_ name: String) throws(ConfigurationError) -> String? {
        do {
            return try self.provider.environmentValue(forName: name)
        } catch {
            throw ConfigurationError(name: name, problem: "cannot be read from the environment (\(error))")
        }
    }
}

extension Environment: CustomStringConvertible, CustomReflectable {
    /// Nothing, since it may hold passwords.
    package var description: String { "Environment" }

    package var customMirror: Mirror { Mirror(self, children: []) }
}
