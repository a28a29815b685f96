/// One named kind of object to clean: where its keys are, and which columns of the database refer to them.
package struct ObjectTarget: Sendable, Hashable {
    /// The name an operator types; case-sensitive.
    package var name: String
    /// A store of the configuration.
    package var store: String
    /// What the target's keys start with, behind the store's own prefix.
    package var prefix: String
    /// What has to follow; any other key is never touched.
    package var keys: KeyPattern
    /// An object younger than this, by the storage's clock, is not looked at: it may be waiting for its reference.
    package var minAge: Knob
    /// An object is kept as long as one of these columns holds its key.
    package var references: [Reference]
    /// How long an object has to be known as unreferenced before a later run deletes it; nil deletes at once.
    package var quarantine: Duration?
    /// Objects that go by their age alone.
    package var leftovers: Leftovers?
    /// The age after which an upload in parts is taken for abandoned; nil leaves them alone.
    package var multipart: Duration?
    /// Whether nothing at all may refer to any object; otherwise that is taken for a wrong or half restored database.
    ///
    /// Not part of the definition.
    package var mayBeUnreferenced = false
    /// When it is cleaned by itself; nil for never.
    ///
    /// Not part of the definition.
    package var schedule: SchedulePolicy?

    package init(
        name: String,
        store: String,
        prefix: String,
        keys: KeyPattern,
        minAge: Knob,
        references: [Reference],
        quarantine: Duration? = nil,
        leftovers: Leftovers? = nil,
        multipart: Duration? = nil
    ) {
        self.name = name
        self.store = store
        self.prefix = prefix
        self.keys = keys
        self.minAge = minAge
        self.references = references
        self.quarantine = quarantine
        self.leftovers = leftovers
        self.multipart = multipart
    }

    /// A column that holds keys, without the store's prefix.
    package struct Reference: Sendable, Hashable {
        /// nil means wherever the database's search path finds the table.
        package var schema: String?
        package var table: String
        package var column: String

        package init(schema: String? = nil, table: String, column: String) {
            self.schema = schema
            self.table = table
            self.column = column
        }
    }

    /// What uploads leave behind: nothing in the database refers to it, at any time.
    package struct Leftovers: Sendable, Hashable {
        package var prefix: String
        package var age: Duration

        package init(prefix: String, age: Duration) {
            self.prefix = prefix
            self.age = age
        }
    }

    /// Why an object may be deleted.
    package enum Kind: Sendable, Hashable {
        /// When nothing refers to it.
        case referable
        /// When it is old enough.
        case leftover
    }

    /// What a key is to this target; nil for one that it must never touch.
    ///
    /// - `isKey`: matches what is behind the target's prefix; see ``KeyPattern/matcher()``.
    package func kind(of key: String, _ isKey: (Substring) -> Bool) -> Kind? {
        if key.hasPrefix(self.prefix), isKey(key.dropFirst(self.prefix.count)) { return .referable }
        if let leftovers, key.hasPrefix(leftovers.prefix) { return .leftover }
        return nil
    }

    /// Looks the knob up.
    ///
    /// - `maxAge`: `--max-age` of the command line, in place of the target's own minimum age.
    package func resolveKnobs(
        environment: Environment,
        maxAge: Duration? = nil,
        keep: Int? = nil
    ) throws(ConfigurationError) -> TargetSwitch {
        if keep != nil {
            throw ConfigurationError("--keep: the target \(self.name) has no keep_newest in its rule; leave it out")
        }
        if let maxAge { return .on(KnobValues(maxAge: maxAge)) }
        var unset: [String] = []
        let age = try self.minAge.age(of: self.name, in: environment, unset: &unset)
        guard let age else { return .off(reason: "\(unset.joined(separator: " and ")) is not set") }
        return .on(KnobValues(maxAge: age))
    }

    /// The rule for people.
    package func ruleInWords(_ values: KnobValues? = nil) -> String {
        let age = values?.maxAge.map(DurationText.format) ?? self.minAge.words
        let columns = self.references.map { "\($0.table).\($0.column)" }.joined(separator: " or ")
        var words = "older than \(age) and in no \(columns)"
        if let quarantine { words += ", \(DurationText.format(quarantine)) after a run has marked it" }
        if let leftovers { words += "; \(leftovers.prefix) older than \(DurationText.format(leftovers.age))" }
        if let multipart { words += "; uploads in parts older than \(DurationText.format(multipart))" }
        return words
    }
}
