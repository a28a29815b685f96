/// Schemas that hold the same tables, such as one for each project of a product.
package struct SchemaGroup: Sendable, Hashable {
    /// The name by which targets refer to it.
    package var name: String
    /// What the names of its schemas look like: `*` stands for any characters, `?` for one.
    package var like: String
    /// SQL that returns names; nil for none.
    ///
    /// A schema that it does not return does not belong.
    package var query: String?
    package var skip: Skip?

    package init(name: String, like: String, query: String? = nil, skip: Skip? = nil) {
        self.name = name
        self.like = like
        self.query = query
        self.skip = skip
    }

    /// Schemas that are not cleaned for now, though they belong.
    package struct Skip: Sendable, Hashable {
        /// SQL that returns their names.
        package var query: String
        /// `true` or `false`; a variable that is not set is `false`.
        package var when: Knob

        package init(query: String, when: Knob) {
            self.query = query
            self.when = when
        }
    }

    /// `like` as a pattern of SQL's `LIKE`, in which `_` and `%` are wildcards.
    var pattern: String {
        self.like.map { character in
            switch character {
            case "*": "%"
            case "?": "_"
            case "%", "_", "\\": "\\\(character)"
            default: String(character)
            }
        }.joined()
    }

    /// What of it decides which rows may go when its tables hold references: all but what is skipped, since a schema that is
    /// not cleaned refers to rows all the same.
    var definitionParts: [String] { [self.name, self.like, self.query ?? ""] }
}
