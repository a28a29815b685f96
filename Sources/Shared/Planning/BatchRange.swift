/// The rows that one batch may touch: the unit that is queued and leased.
///
/// A range only narrows: which of its rows are deleted is decided by the run's rule, never by the message that carries
/// the range.
package enum BatchRange: Sendable, Hashable {
    /// Heap blocks `from ..< to`.
    case block(from: Int, to: Int)
    /// Values `from ..< to` of the time column, in PostgreSQL's text format; nil is unbounded.
    case window(from: String?, to: String?)
    /// Values `from ..< to` of the integer key; nil is unbounded.
    case idRange(from: String?, to: String?)
    /// Pivots with the ordinals `from ..< to`; with `slice`, only rows whose first order column lies in it.
    case group(from: Int, to: Int, slice: Slice?)
    /// Single rows, each given by the values of its key columns.
    case keys([[String]])
    /// Objects of a storage.
    case objects(ObjectRange)

    /// Values `from ..< to` of a column; nil is unbounded.
    package struct Slice: Sendable, Hashable {
        package var from: String?
        package var to: String?

        package init(from: String?, to: String?) {
            self.from = from
            self.to = to
        }
    }
}

/// The objects that one batch may touch; keys are without the store's prefix.
package enum ObjectRange: Sendable, Hashable {
    /// Those whose keys start so.
    case prefix(String)
    /// These, one by one: what a storage refused to delete in a batch of many.
    case keys([String])
    /// Uploads in parts that nobody completes.
    case uploads

    /// The halves of a list; nil for what cannot be halved.
    package var halves: (ObjectRange, ObjectRange)? {
        guard case .keys(let keys) = self, keys.count > 1 else { return nil }
        let middle = keys.count / 2
        return (.keys(Array(keys[..<middle])), .keys(Array(keys[middle...])))
    }
}

extension BatchRange {
    /// Whether its rows are those of some pivots.
    package var isGroup: Bool { if case .group = self { true } else { false } }

    /// Whether its rows are objects.
    package var isObjects: Bool { if case .objects = self { true } else { false } }

    /// Whether it names a single row.
    package var isSingleRow: Bool {
        switch self {
        case .keys(let keys): keys.count == 1
        case .objects(.keys(let keys)): keys.count == 1
        default: false
        }
    }
}

extension BatchRange: CustomStringConvertible {
    /// For people: `blocks 0 ..< 750`.
    package var description: String {
        switch self {
        case .block(let from, let to): "blocks \(from) ..< \(to)"
        case .window(let from, let to): "window \(from ?? "start") ..< \(to ?? "end")"
        case .idRange(let from, let to): "ids \(from ?? "start") ..< \(to ?? "end")"
        case .group(let from, let to, let slice):
            "groups \(from) ..< \(to)" + (slice.map { " from \($0.from ?? "start") ..< \($0.to ?? "end")" } ?? "")
        case .objects(.prefix(let prefix)): "objects \(prefix)…"
        case .objects(.keys(let keys)): "objects \(keys.joined(separator: " "))"
        case .objects(.uploads): "uploads in parts"
        case .keys(let keys): "keys " + keys.map { "(\($0.joined(separator: ", ")))" }.joined(separator: " ")
        }
    }
}
