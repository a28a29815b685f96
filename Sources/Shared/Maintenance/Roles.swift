/// What a process that was started with `producer start` is to do; several roles share one image.
package struct Roles: Sendable, Hashable {
    /// Whether ledger and streams are made ready first.
    package var setup = true
    /// Whether it serves: schedules, and later HTTP.
    package var server = true
    /// Whether it runs the procedure when that is due.
    package var maintenance = true

    /// Every role.
    package init() {}

    /// The key of the file under which roles stand.
    static let section = "roles"

    private static let roles: [(key: String, path: any WritableKeyPath<Roles, Bool> & Sendable)] = [
        ("setup", \.setup), ("server", \.server), ("maintenance", \.maintenance),
    ]

    /// Reads `roles: {setup: …, server: …, maintenance: …}` of the presets and the operator's file, the latter wins; all are on
    /// by default.
    ///
    /// - Throws: `ConfigurationError` for a value that is neither on nor off.
    package static func load(
        _ configuration: EbbConfiguration,
        environment: Environment
    ) throws(ConfigurationError) -> Roles {
        var roles = Roles()
        for file in try configuration.definitionFiles() {
            for section in try file.root.entries() where section.key == Self.section {
                let fields = try section.value.fields(Self.roles.map(\.key))
                for (key, path) in Self.roles {
                    guard let node = fields[key] else { continue }
                    let knob = try node.knob(ScheduleText.role)
                    let value = try knob.value(ScheduleText.role, place: "\(Self.section).\(key)", in: environment)
                    roles[keyPath: path] = value ?? true
                }
            }
        }
        return roles
    }
}
