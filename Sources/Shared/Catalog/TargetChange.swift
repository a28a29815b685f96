/// What an operator's file adds to a target of a preset: tables whose rows keep what they refer to.
///
/// Nothing else can be changed: a shipped name must not delete more than its preset says.
struct TargetChange: Sendable {
    var target: String
    var protect: [String]
    var node: ConfigurationNode

    /// The target with what is added.
    ///
    /// - Throws: `ConfigurationError` for a target that cannot protect anything.
    func applied(to entry: CatalogEntry?) throws(ConfigurationError) -> CatalogEntry {
        guard case .table(var target)? = entry, target.drainFirst.isEmpty else {
            throw self.node.error(
                "\(self.target) has objects, or children that are drained first, which protect cannot keep; accepted: targets of "
                    + "rows alone"
            )
        }
        target.protect += self.protect.filter { !target.protect.contains($0) }
        return .table(target)
    }
}
