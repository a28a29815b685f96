/// Reads `after`: what follows rows that were deleted.
struct AfterParser {
    static let key = "after"

    /// The target's key.
    let key: [String]
    let stores: [StoreDefinition]

    private static let acceptedUpdate = "an SQL statement, in which {keys} stands for the deleted keys"
    private static let acceptedPath = "SQL over a deleted row: the path of its file in the store, NULL for none"
    private static let acceptedSize = "SQL over a deleted row: how large its file is, in bytes"

    /// `after: {update: …, unlink: {store: …, path: …, size: …}}`.
    func after(_ node: ConfigurationNode) throws(ConfigurationError) -> After {
        let fields = try node.fields(["update", "unlink"])
        var after = After()
        if let node = fields["update"] {
            let update = try SQLFragment.text(node, accepted: Self.acceptedUpdate)
            guard self.key.count == 1 || !update.contains(After.keys) else {
                throw node.error(
                    "{keys} needs a key of one column, and this one has \(self.key.count); accepted: none of it"
                )
            }
            after.update = update
        }
        if let node = fields["unlink"] { after.unlink = try self.unlink(node) }
        guard after != After() else { throw node.error("it says nothing; accepted: update, unlink or both") }
        return after
    }

    private func unlink(_ node: ConfigurationNode) throws(ConfigurationError) -> After.Unlink {
        let fields = try node.fields(["store", "path", "size"])
        let accepted = "a store of the configuration"
        let name = try fields.required("store", accepted: accepted)
        let text = try name.text(accepted: accepted)
        guard let store = self.stores.first(where: { $0.name == text }) else {
            let names = self.stores.map(\.name)
            let hint = NearestName.of(text, among: names).map { "; did you mean \($0)?" } ?? ""
            throw name.error("there is no store \"\(text)\"\(hint); accepted: \(names.joined(separator: ", "))")
        }
        if let size = fields["size"], store.isFolder {
            throw size.error("files of a folder are measured themselves; accepted: size with a bucket only")
        }
        return After.Unlink(
            store: text,
            path: try SQLFragment.text(
                fields.required("path", accepted: Self.acceptedPath),
                accepted: Self.acceptedPath
            ),
            size: try fields["size"].map { (node) throws(ConfigurationError) in
                try SQLFragment.text(node, accepted: Self.acceptedSize)
            }
        )
    }
}

extension After {
    /// What stands for the deleted keys.
    static let keys = "{keys}"
}
