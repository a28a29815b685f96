/// Reads the `stores` of a configuration file or a preset.
struct StoreParser {
    /// The key of the file under which stores stand.
    static let section = "stores"

    static func stores(of file: ConfigurationFile) throws(ConfigurationError) -> [StoreDefinition] {
        var stores: [StoreDefinition] = []
        for entry in try file.root.entries() where entry.key == Self.section {
            for store in try entry.value.entries() { stores.append(try Self.store(store)) }
        }
        return stores
    }

    private static func store(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> StoreDefinition {
        let node = entry.value
        guard CatalogParser.isTargetName(entry.key) else {
            throw node.error("\"\(entry.key)\" is not a store's name; accepted: \(CatalogParser.acceptedTarget)")
        }
        let given = try node.fields(StoreDefinition.Field.allCases.map(\.rawValue))
        if given[StoreDefinition.Field.folder.rawValue] != nil {
            for entry in try node.entries() where !["folder", "enabled"].contains(entry.key) {
                throw entry.value.error("a folder has none; accepted: folder and enabled")
            }
        } else {
            _ = try given.required("bucket", accepted: "the bucket's name, or ${NAME} for a variable")
            if let root = given[StoreDefinition.Field.root.rawValue],
                given[StoreDefinition.Field.prefix.rawValue] != nil
            {
                throw root.error("root and prefix are both given; accepted: one of them")
            }
        }
        var fields: [StoreDefinition.Field: Knob] = [:]
        var enabled: Knob?
        var condition: String?
        for field in StoreDefinition.Field.allCases {
            guard let value = given[field.rawValue] else { continue }
            if field == .enabled, case .mapping = value.content {
                let fields = try value.fields(["value", "is"])
                let accepted = "{value: ${NAME}, is: …}, the value with which there is such a store"
                condition = try fields.required("is", accepted: accepted).text(accepted: accepted)
                enabled = try fields.required("value", accepted: accepted).parse(accepted: accepted) {
                    (text) throws(RejectedValue) in try KnobText.knob(text) { _ throws(RejectedValue) in }
                }
                continue
            }
            fields[field] = try value.parse(accepted: "a value, or ${NAME} for a variable") {
                (text) throws(RejectedValue) in
                try KnobText.knob(text) { (literal) throws(RejectedValue) in try Self.check(literal, field) }
            }
        }
        if let enabled { fields[.enabled] = enabled }
        var store = StoreDefinition(name: entry.key, fields: fields)
        store.enabledValue = condition
        return store
    }

    /// Refuses what can be told before any variable is read.
    private static func check(_ literal: String, _ field: StoreDefinition.Field) throws(RejectedValue) {
        if StoreDefinition.secrets.contains(field) {
            let accepted = "${NAME}, a variable, which may also come as NAME_FILE, the path of a file"
            throw RejectedValue(secret: "is a secret and does not belong in this file", accepted: accepted)
        }
        switch field {
        case .enabled, .pathStyle: _ = try FlagText.parse(literal)
        case .endpoint: _ = try StoreDefinition.endpoint(literal)
        case .bucket: _ = try StoreDefinition.bucket(literal)
        case .folder: _ = try StoreDefinition.folder(literal)
        case .root: _ = try StoreDefinition.root(literal)
        case .region, .accessKeyID, .secretAccessKey, .sessionToken, .prefix: break
        }
    }
}
