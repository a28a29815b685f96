import Glibc

/// Reads small text files that an operator names.
enum TextFile {
    /// The whole file as UTF-8; `name` is the variable that names it, for the error.
    static func read(_ path: String, namedBy name: String) throws(ConfigurationError) -> String {
        guard let file = fopen(path, "re") else { throw Self.unreadable(path, name) }
        defer { fclose(file) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            content += buffer[..<count]
            if count < buffer.count { break }
        }
        // A directory opens like a file and fails here.
        guard ferror(file) == 0 else { throw Self.unreadable(path, name) }
        guard let text = String(validating: content, as: UTF8.self) else {
            throw ConfigurationError(name: name, problem: "the file \"\(path)\" is not UTF-8; accepted: a text file")
        }
        return text
    }

    private static func unreadable(_ path: String, _ name: String) -> ConfigurationError {
        let reason = String(cString: strerror(errno))
        return ConfigurationError(
            name: name,
            problem: "cannot read the file \"\(path)\" (\(reason)); accepted: a path to a readable file"
        )
    }
}
