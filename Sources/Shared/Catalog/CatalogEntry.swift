/// A target of either kind: rows of a table, or objects of a storage.
package enum CatalogEntry: Sendable, Hashable {
    case table(Target)
    case objects(ObjectTarget)

    package var name: String {
        switch self {
        case .table(let target): target.name
        case .objects(let target): target.name
        }
    }

    /// The knobs that it reads.
    package var knobs: [Knob] {
        switch self {
        case .table(let target): target.knobs
        case .objects(let target): [target.minAge]
        }
    }

    /// The rule for people; see ``Target/ruleInWords(_:)``.
    package func ruleInWords(_ values: KnobValues? = nil) -> String {
        switch self {
        case .table(let target): target.ruleInWords(values)
        case .objects(let target): target.ruleInWords(values)
        }
    }
}
