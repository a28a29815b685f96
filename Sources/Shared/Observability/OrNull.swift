/// A value of which JSON always has the name: what is not known is null, and not left out.
@propertyWrapper
package struct OrNull<Value: Sendable & Codable & Hashable>: Sendable, Codable, Hashable {
    package var wrappedValue: Value?

    package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    package init(from decoder: any Decoder) throws {
        self.wrappedValue = try Value?(from: decoder)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.wrappedValue)
    }
}
