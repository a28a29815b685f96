import FoundationEssentials

/// The range's form in a message: a JSON array that starts with the kind, e.g. `["block","0","750"]`.
///
/// Scripts never look inside; it is JSON so that a person reading the stream understands it.
extension BatchRange {
    package var encoded: String {
        let parts: [String?] =
            switch self {
            case .block(let from, let to): ["block", String(from), String(to)]
            case .window(let from, let to): ["window", from, to]
            case .idRange(let from, let to): ["id_range", from, to]
            case .group(let from, let to, nil): ["group", String(from), String(to)]
            case .group(let from, let to, let slice?): ["group", String(from), String(to), slice.from, slice.to]
            case .objects(.prefix(let prefix)): ["prefix", prefix]
            case .objects(.keys(let keys)): ["objects"] + keys
            case .objects(.uploads): ["uploads"]
            case .keys(let keys): ["keys", String(keys.first?.count ?? 0)] + keys.flatMap { $0 }
            }
        do {
            return String(decoding: try JSONEncoder().encode(parts), as: UTF8.self)
        } catch {
            preconditionFailure("JSON refused an array of strings: \(error)")
        }
    }

    /// - Throws: `QueueError.malformed` with the text, when it is none of the forms above.
    package init(encoded text: String) throws(QueueError) {
        let malformed = QueueError.malformed(
            "batch range \(text.prefix(200))",
            accepted: "a JSON array starting with block, window, id_range, group, keys, prefix, objects or uploads"
        )
        let parts: [String?]
        do { parts = try JSONDecoder().decode([String?].self, from: Data(text.utf8)) } catch { throw malformed }
        guard let kind = parts.first ?? nil else { throw malformed }
        let values = Array(parts.dropFirst())
        func number(_ position: Int) -> Int? {
            values.indices.contains(position) ? values[position].flatMap(Int.init) : nil
        }
        switch (kind, values.count) {
        case ("block", 2):
            guard let from = number(0), let to = number(1), from >= 0, to >= from else { throw malformed }
            self = .block(from: from, to: to)
        case ("window", 2): self = .window(from: values[0], to: values[1])
        case ("id_range", 2): self = .idRange(from: values[0], to: values[1])
        case ("group", 2), ("group", 4):
            guard let from = number(0), let to = number(1), to >= from else { throw malformed }
            self = .group(
                from: from,
                to: to,
                slice: values.count == 4 ? Slice(from: values[2], to: values[3]) : nil
            )
        case ("prefix", 1):
            guard let prefix = values[0] else { throw malformed }
            self = .objects(.prefix(prefix))
        case ("objects", _):
            let keys = values.compactMap { $0 }
            guard keys.count == values.count else { throw malformed }
            self = .objects(.keys(keys))
        case ("uploads", 0): self = .objects(.uploads)
        case ("keys", 2...):
            guard let width = number(0), width > 0, (values.count - 1).isMultiple(of: width) else { throw malformed }
            let flat = values.dropFirst().compactMap { $0 }
            guard flat.count == values.count - 1 else { throw malformed }
            self = .keys(
                stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<($0 + width)]) }
            )
        default: throw malformed
        }
    }
}
