/// A layout of sessions that ships with Ebb.
package enum SessionPreset: String, Sendable, CaseIterable {
    case ayon

    /// The names that `sessions` accepts for a layout; `own` is that of Ebb's ``SessionStore``, `off` stands for none.
    static let names = ["off", Self.own] + Self.allCases.map(\.rawValue)

    /// The layout of Ebb's own sessions, which depends on the namespace.
    static let own = "own"

    var fileName: String { "sessions of \(self.rawValue)" }

    var yaml: String {
        switch self {
        case .ayon: String(decoding: PackageResources.ayon_sessions_yaml, as: UTF8.self)
        }
    }
}
