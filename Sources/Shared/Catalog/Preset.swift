/// A catalogue that ships with Ebb: one YAML file each, embedded in the program.
package enum Preset: String, Sendable, CaseIterable {
    /// The clean-up jobs of Distr (github.com/distr-sh/distr).
    case distr
    /// The maintenance of AYON (github.com/ynput/ayon-backend).
    case ayon

    /// The names that `presets` accepts.
    package static let names = Self.allCases.map(\.rawValue)

    /// What errors call the embedded file.
    package var fileName: String { "preset \(self.rawValue)" }

    /// The embedded file.
    package var yaml: String {
        switch self {
        case .distr: String(decoding: PackageResources.distr_yaml, as: UTF8.self)
        case .ayon: String(decoding: PackageResources.ayon_yaml, as: UTF8.self)
        }
    }
}
