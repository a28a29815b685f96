/// Reads a target whose rows are objects.
struct ObjectTargetParser {
    /// The key that makes a target one of objects.
    static let mark = "objects"

    private static let keys = [
        Self.mark, "min_age", "unreferenced", "quarantine", "leftovers", "multipart", ScheduleParser.key,
    ]
    private static let acceptedAge = "\(DurationText.acceptedPositive), or ${NAME} or ${NAME:-value} for a variable"
    private static let acceptedPrefix = "what keys start with, such as \"chunks/\""
    private static let acceptedReference = "{table: …, column: …}, or a list of them: the columns that hold keys"

    /// - `stores`: those of the configuration; of folders there can be no target.
    func target(_ entry: ConfigurationNode.Entry, stores: [StoreDefinition]) throws(ConfigurationError) -> ObjectTarget
    {
        let fields = try entry.value.fields(Self.keys)
        let objects = try fields.required(Self.mark, accepted: "{store: …, prefix: …, keys: …}")
            .fields(["store", "prefix", "keys"])
        let age = try fields.required("min_age", accepted: Self.acceptedAge).parse(accepted: Self.acceptedAge) {
            (text) throws(RejectedValue) in
            try KnobText.ageKnob(text)
        }
        let unreferenced = try fields.required("unreferenced", accepted: Self.acceptedReference)
        let prefix = try objects["prefix"]?.text(accepted: Self.acceptedPrefix) ?? ""
        var target = ObjectTarget(
            name: entry.key,
            store: try self.store(
                objects.required("store", accepted: "a store of the configuration"),
                Self.buckets(stores)
            ),
            prefix: prefix,
            keys: try objects.required("keys", accepted: KeyPattern.accepted)
                .parse(accepted: KeyPattern.accepted) { (text) throws(RejectedValue) in try KeyPattern(text) },
            minAge: age,
            references: try self.references(unreferenced),
            quarantine: try Self.duration(fields["quarantine"]),
            leftovers: try Self.leftovers(fields["leftovers"]),
            multipart: try Self.duration(fields["multipart"])
        )
        target.schedule = try ScheduleParser.policy(fields[ScheduleParser.key])
        if let node = fields["leftovers"], let leftovers = target.leftovers,
            leftovers.prefix.hasPrefix(prefix) || prefix.hasPrefix(leftovers.prefix)
        {
            throw node.error(
                "leftovers under \"\(leftovers.prefix)\" go by age alone and would take keys under \"\(prefix)\" with them; "
                    + "accepted: two prefixes of which none starts with the other"
            )
        }
        return target
    }

    private static func buckets(_ stores: [StoreDefinition]) -> [String] { stores.filter { !$0.isFolder }.map(\.name) }

    private func store(_ node: ConfigurationNode, _ stores: [String]) throws(ConfigurationError) -> String {
        let name = try node.text(accepted: "a store of the configuration")
        guard stores.contains(name) else {
            let hint = NearestName.of(name, among: stores).map { "; did you mean \($0)?" } ?? ""
            throw node.error("there is no store \"\(name)\"\(hint); accepted: \(stores.joined(separator: ", "))")
        }
        return name
    }

    private func references(_ node: ConfigurationNode) throws(ConfigurationError) -> [ObjectTarget.Reference] {
        var items = [node]
        if case .list(let list) = node.content { items = list }
        var references: [ObjectTarget.Reference] = []
        for item in items {
            let fields = try item.fields(["schema", "table", "column"])
            let accepted = NameScanner.acceptedName
            references.append(
                ObjectTarget.Reference(
                    schema: try fields["schema"]?.parse(accepted: accepted, NameScanner.name),
                    table: try fields.required("table", accepted: accepted).parse(accepted: accepted, NameScanner.name),
                    column: try fields.required("column", accepted: accepted)
                        .parse(accepted: accepted, NameScanner.name)
                )
            )
        }
        guard !references.isEmpty else {
            throw node.error("without a reference every object would go; accepted: \(Self.acceptedReference)")
        }
        return references
    }

    private static func leftovers(
        _ node: ConfigurationNode?
    ) throws(ConfigurationError) -> ObjectTarget.Leftovers? {
        guard let node else { return nil }
        let fields = try node.fields(["prefix", "age"])
        let prefix = try fields.required("prefix", accepted: Self.acceptedPrefix)
        let text = try prefix.text(accepted: Self.acceptedPrefix)
        guard !text.isEmpty else { throw prefix.error("it is empty; accepted: \(Self.acceptedPrefix)") }
        let age = try Self.duration(fields.required("age", accepted: DurationText.acceptedPositive))
        return age.map { ObjectTarget.Leftovers(prefix: text, age: $0) }
    }

    /// A duration that belongs to the definition: it is no knob.
    private static func duration(_ node: ConfigurationNode?) throws(ConfigurationError) -> Duration? {
        try node?.parse(accepted: DurationText.acceptedPositive) { (text) throws(RejectedValue) in
            try DurationText.parsePositive(text)
        }
    }
}
