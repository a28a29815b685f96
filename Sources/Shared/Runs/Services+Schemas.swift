package import PostgresClient

extension Services {
    /// The schemas that a target's runs clean now, by name; those that the group says to skip are left out.
    ///
    /// - Throws: `ConfigurationError` for a switch that is set to something unusable; `PlanningError`; `PostgresError`.
    package func schemas(of group: SchemaGroup, _ connection: PostgresConnection) async throws -> [String] {
        try await SchemaLookup.schemas(of: group, skipping: group.skips(self.environment), connection)
    }

    /// A target as often as it is run: once for each schema of its group as they are now, or just once.
    ///
    /// - Throws: as ``schemas(of:_:)``.
    package func places(of entry: CatalogEntry, _ connection: PostgresConnection) async throws -> [CatalogEntry] {
        guard let group = entry.group else { return [entry] }
        return try await self.schemas(of: group, connection).map { entry.inSchema($0) }
    }
}

extension SchemaGroup {
    /// Whether schemas that it says to skip are left out now.
    ///
    /// - Throws: `ConfigurationError` for a switch that is set to something unusable.
    func skips(_ environment: Environment) throws(ConfigurationError) -> Bool {
        guard let when = self.skip?.when else { return false }
        let place = "\(SchemaGroupParser.section).\(self.name).skip.when"
        return try when.value(ScheduleText.onOff, place: place, in: environment) ?? false
    }
}

extension CatalogEntry {
    /// The schema that it is run in, of a target in a group of schemas; nil for others.
    package var schemaOfGroup: String? {
        if case .table(let target) = self, target.group != nil { target.schema } else { nil }
    }

    /// Says that there is nothing to clean; nil for a target of one place.
    package var emptyGroup: String? { self.group.map { "the group \($0.name) has no schema (\($0.like))" } }
}
