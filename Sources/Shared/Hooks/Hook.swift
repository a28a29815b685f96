/// Something outside that a procedure calls, as the configuration has it: its texts may name variables.
package struct Hook: Sendable, Hashable {
    package var name: String
    package var action: Action
    /// It does not run again before this time has passed since it last succeeded, wherever that was.
    package var minInterval: Duration?
    /// While it is not true, the hook is off.
    package var enabled: VariableText?
    /// While it is true, the hook is off.
    package var offline: VariableText?

    /// What a hook does.
    package enum Action: Sendable, Hashable {
        case http(HTTP)
        case command(Command)
    }

    /// An HTTP request.
    package struct HTTP: Sendable, Hashable {
        package var method: String
        package var url: VariableText
        package var headers: [Header]
        /// `{name}` in it stands for a value of the run, escaped as in a JSON string.
        package var body: VariableText?
        /// Of one try.
        package var timeout: Duration
        /// Tries after the first one.
        package var retries: Int
        /// The pause before the second try; it doubles with every further one.
        package var backoff: Duration
        /// Codes that mean success.
        package var accept: [ClosedRange<Int>]
        /// How much of the answer is read.
        package var output: Int
    }

    /// A header of a request; whatever it holds must not be shown.
    package struct Header: Sendable, Hashable {
        package var name: String
        package var value: VariableText
    }

    /// A program of this machine, started without a shell.
    package struct Command: Sendable, Hashable {
        /// The program, by its path or by its name, and its arguments; `{name}` in an argument stands for a value of the run.
        package var arguments: [VariableText]
        /// All that it finds in its environment besides `PATH`.
        package var environment: [String: VariableText]
        package var directory: VariableText?
        package var timeout: Duration
        /// How much of its output is kept.
        package var output: Int
    }
}

extension Hook {
    /// The hooks of the presets that are on, and of the operator's file, by name.
    ///
    /// - Throws: `ConfigurationError`, also when the file has a hook by the name of a preset's.
    package static func load(_ configuration: EbbConfiguration) throws(ConfigurationError) -> [Hook] {
        try PresetSection.load(configuration, what: "hook", HookParser.hooks) { $0.name }.sorted { $0.name < $1.name }
    }
}
