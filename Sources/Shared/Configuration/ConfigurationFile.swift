import Yams

/// A parsed YAML file: the operator's `ebb.yaml`, or a shipped preset.
///
/// It is parsed once; the settings and the catalogue read their parts from the same tree.
package struct ConfigurationFile: Sendable {
    /// The file as the operator named it; errors start with it.
    package let name: String
    package let root: ConfigurationNode

    /// Parses the content of a file that errors call `name`; nothing but comments is an empty mapping.
    package init(name: String, yaml: String) throws(ConfigurationError) {
        self.name = name
        let place = ConfigurationNode.Place(file: name, line: 1, path: "")
        do {
            // The encoding is given because Yams would otherwise ask the environment for it.
            let node = try Parser(yaml: Placeholders.hide(yaml), encoding: .utf8).singleRoot()
            self.root =
                try node.map { node in try ConfigurationNode(node, at: place) }
                ?? ConfigurationNode(place: place, content: .empty)
        } catch let error as ConfigurationError {
            throw error
        } catch let error as YamlError {
            throw Self.error(error, in: name)
        } catch {
            throw ConfigurationError(name: name, problem: "is not valid YAML (\(error))")
        }
    }

    /// Reads and parses the file at `path`, a path relative to the working directory or absolute.
    ///
    /// `variable` is what named it, for the error when it cannot be read.
    package static func read(path: String, variable: String) throws(ConfigurationError) -> ConfigurationFile {
        try ConfigurationFile(name: path, yaml: TextFile.read(path, namedBy: variable))
    }

    /// One line out of Yams's report, which quotes the file and could quote a password.
    private static func error(_ error: YamlError, in file: String) -> ConfigurationError {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let words = [context?.text, problem].compactMap { $0 }.joined(separator: ", ")
            return ConfigurationError(name: "\(file):\(mark.line)", problem: "is not valid YAML: \(words)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let keys = duplicates.map { "\"\(Placeholders.restore($0))\"" }.joined(separator: ", ")
            return ConfigurationError(
                name: "\(file):\(context.mark.line)",
                problem: "the key \(keys) appears more than once in one mapping"
            )
        case .reader(let problem, _, _, _), .writer(let problem), .emitter(let problem), .representer(let problem):
            return ConfigurationError(name: file, problem: "is not valid YAML: \(problem)")
        case .no, .memory, .dataCouldNotBeDecoded:
            return ConfigurationError(name: file, problem: "cannot be read as YAML")
        }
    }
}

/// Lets `${NAME}` and `${NAME:-value}` stand unquoted inside `{…}` and `[…]`, where YAML would read its brace as the start of a mapping.
///
/// Braces of them become characters of the private use area, which mean nothing in any context of YAML, and return in
/// the parsed scalars. Quoting instead would need to know whether the text is already inside quotes, a comment or a block.
enum Placeholders {
    private static let open: Character = "\u{E000}"
    private static let close: Character = "\u{E001}"

    static func hide(_ yaml: String) -> String {
        yaml.replacing(/\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^{}]*)?)\}/) { match in "\(Self.open)\(match.1)\(Self.close)" }
    }

    static func restore(_ scalar: String) -> String {
        scalar.replacing(String(Self.open), with: "${").replacing(String(Self.close), with: "}")
    }
}
