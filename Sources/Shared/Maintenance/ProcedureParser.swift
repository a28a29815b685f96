/// Reads the procedure of a preset or of the operator's file.
struct ProcedureParser {
    /// The key of the file under which it stands.
    static let section = "procedure"

    private static let acceptedStages = "a list of stages, such as {target: AuditLog, timeout: 1h}"
    private static let acceptedTables = "touched, or a list of tables"

    /// What one file says of the procedure.
    struct Definition {
        var place: ConfigurationNode
        var stages: [StageDefinition]?
        /// Changes of single settings of stages that another file defines.
        var changes: [StageChange] = []
        var zone: Knob?
        var schedule: SchedulePolicy?
    }

    /// A stage as it was written.
    struct StageDefinition {
        var node: ConfigurationNode
        var name: String
        var work: StageWork
        var settings = StageSettings()
    }

    /// `changes: {Name: {…}}`.
    struct StageChange {
        var node: ConfigurationNode
        var name: String
        var settings: StageSettings
    }

    /// nil when the file says nothing of it.
    static func definition(of file: ConfigurationFile) throws(ConfigurationError) -> Definition? {
        guard let section = try file.root.entries().first(where: { $0.key == Self.section }) else { return nil }
        let fields = try section.value.fields(["stages", "changes", "time_zone", "schedule"])
        var definition = Definition(place: section.value)
        if let node = fields["stages"] { definition.stages = try Self.stages(node) }
        for entry in try fields["changes"]?.entries() ?? [] {
            let settings = try StageSettings(entry.value.fields(StageSettings.keys))
            definition.changes.append(StageChange(node: entry.value, name: entry.key, settings: settings))
        }
        definition.zone = try fields["time_zone"]?.knob(ScheduleText.zone)
        definition.schedule = try ScheduleParser.policy(fields["schedule"])
        // A procedure is long enough that a missed day matters.
        if definition.schedule?.catchUp == nil { definition.schedule?.catchUp = .literal("24h") }
        if definition.schedule?.timeout != nil {
            throw section.value.error("the procedure has no timeout of its own; accepted: one for each stage")
        }
        return definition
    }

    private static func stages(_ node: ConfigurationNode) throws(ConfigurationError) -> [StageDefinition] {
        guard case .list(let items) = node.content, !items.isEmpty else {
            throw node.error("this is no list, or an empty one; accepted: \(Self.acceptedStages)")
        }
        var stages: [StageDefinition] = []
        for item in items {
            let stage = try Self.stage(item)
            guard !stages.contains(where: { $0.name == stage.name }) else {
                throw item.error("there are two stages \(stage.name); accepted: another \"name\" for one of them")
            }
            stages.append(stage)
        }
        return stages
    }

    private static func stage(_ node: ConfigurationNode) throws(ConfigurationError) -> StageDefinition {
        let kinds = StageWork.Kind.allCases
        let fields = try node.fields(kinds.map(\.rawValue) + ["name", "full"] + StageSettings.keys)
        let given = kinds.filter { fields[$0.rawValue] != nil }
        guard let kind = given.first, given.count == 1, let value = fields[kind.rawValue] else {
            throw node.error(
                "a stage does one thing; accepted: one of \(kinds.map(\.rawValue).joined(separator: ", "))"
            )
        }
        if kind != .vacuum, let full = fields["full"] { throw full.error("only a vacuum can be full; leave it out") }
        let work = try Self.work(kind, value, full: fields["full"])
        let named = try fields["name"]?.text(accepted: CatalogParser.acceptedTarget)
        let name = named ?? (kind == .vacuum ? kind.rawValue : work.subject)
        guard CatalogParser.isTargetName(name) else {
            throw node.error("\"\(name)\" is not a stage's name; accepted: \(CatalogParser.acceptedTarget)")
        }
        let settings = try StageSettings(fields)
        try settings.check(kind)
        return StageDefinition(node: node, name: name, work: work, settings: settings)
    }

    private static func work(
        _ kind: StageWork.Kind,
        _ node: ConfigurationNode,
        full: ConfigurationNode?
    ) throws(ConfigurationError) -> StageWork {
        switch kind {
        case .target: return .target(try node.text(accepted: "a target's name"))
        case .sweep: return .sweep(try node.text(accepted: "sessions"))
        case .hook: return .hook(try node.text(accepted: "a hook's name"))
        case .index: return .index(try node.text(accepted: "the name of a group of indexes"))
        case .vacuum:
            let isFull = try full?.parse(accepted: FlagText.accepted, FlagText.parse) ?? false
            if case .scalar(VacuumScope.touched) = node.content { return .vacuum(VacuumScope(full: isFull)) }
            var tables: [String] = []
            for (text, item) in try node.texts(accepted: Self.acceptedTables) {
                for part in text.split(separator: ".", omittingEmptySubsequences: false) {
                    do { _ = try NameScanner.name(String(part)) } catch {
                        throw ConfigurationError(name: item.place.description, rejected: error)
                    }
                }
                tables.append(text)
            }
            guard !tables.isEmpty else { throw node.error("the list is empty; accepted: \(Self.acceptedTables)") }
            return .vacuum(VacuumScope(tables: tables, full: isFull))
        }
    }
}

/// The settings of a stage as they were written: each a literal or a variable.
struct StageSettings {
    var enabled: Knob?
    var onFailure: Knob?
    var timeout: Knob?
    var window: Knob?
    var maxAge: Knob?
    var keep: Knob?
    /// Of those that only targets have.
    private var ofTargets: [ConfigurationNode] = []

    static let keys = ["enabled", "on_failure", "timeout", "window", "max_age", "keep"]

    init() {}

    init(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) {
        self.enabled = try fields["enabled"]?.knob(ScheduleText.onOff)
        self.onFailure = try fields["on_failure"]?.knob(ScheduleText.onFailure)
        self.timeout = try fields["timeout"]?.knob(ScheduleText.timeout)
        self.window = try fields["window"]?.knob(ScheduleText.window)
        self.maxAge = try fields["max_age"]?.knob(ScheduleText.timeout)
        self.keep = try fields["keep"]?.knob(ScheduleText.count)
        self.ofTargets = ["max_age", "keep"].compactMap { fields[$0] }
    }

    /// Refuses what a stage of that kind cannot have.
    func check(_ kind: StageWork.Kind) throws(ConfigurationError) {
        guard kind != .target, let node = self.ofTargets.first else { return }
        throw node.error("only a target has an age or a number of rows to keep; leave it out")
    }

    /// Takes over what a change says.
    mutating func apply(_ change: StageSettings) {
        self.enabled = change.enabled ?? self.enabled
        self.onFailure = change.onFailure ?? self.onFailure
        self.timeout = change.timeout ?? self.timeout
        self.window = change.window ?? self.window
        self.maxAge = change.maxAge ?? self.maxAge
        self.keep = change.keep ?? self.keep
    }
}
