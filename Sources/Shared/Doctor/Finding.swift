/// What one check of the doctor has found.
package struct Finding: Sendable, Equatable, Encodable {
    /// Which check: `connection`, `privileges`, `foreign_keys`, ….
    package var check: String
    /// The target that it is about; nil for what concerns all.
    package var target: String?
    package var level: Level
    /// One sentence.
    package var message: String
    /// SQL or a command that puts it right; nil when that takes more.
    package var fix: String?

    /// How bad it is.
    package enum Level: String, Sendable, Encodable, CaseIterable {
        case ok
        /// Runs work, but not as well as they could, or not as somebody may think.
        case warning
        /// Runs do not work.
        case problem
    }

    package init(_ level: Level, _ check: String, target: String? = nil, _ message: String, fix: String? = nil) {
        self.check = check
        self.target = target
        self.level = level
        self.message = message
        self.fix = fix
    }
}
