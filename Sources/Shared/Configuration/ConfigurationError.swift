/// Something in the environment, the configuration file or the catalogue that stops the program before it does anything.
///
/// One sentence for the person who can put it right: the thing by the name they wrote, the value, and what is accepted.
package struct ConfigurationError: Error, Hashable, CustomStringConvertible {
    package let description: String

    /// - Parameter sentence: the whole sentence.
    package init(_ sentence: String) {
        self.description = sentence
    }

    /// - Parameters:
    ///   - name: a variable, an option, or file, line and key.
    ///   - problem: what is wrong with it and what is accepted.
    package init(name: String, problem: String) {
        self.init("\(name): \(problem)")
    }

    /// - Parameters:
    ///   - name: a variable, an option, or file, line and key.
    ///   - rejected: what the value's parser said.
    package init(name: String, rejected: RejectedValue) {
        self.init(name: name, problem: rejected.reason)
    }
}
