import Foundation

/// Any JSON, for figures that are stored and shown as they are.
package enum JSONValue: Sendable, Hashable, Codable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
            // A decoder only tells what a value is by failing to read it as something else; the last try throws what is left.
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let values): try container.encode(values)
        }
    }

    /// A field of an object.
    package subscript(_ name: String) -> JSONValue? { if case .object(let fields) = self { fields[name] } else { nil } }

    /// A whole number.
    package var int: Int? { if case .int(let value) = self { value } else { nil } }

    /// How many elements an array has.
    package var count: Int? { if case .array(let values) = self { values.count } else { nil } }

    /// What `value` is as JSON.
    package init(_ value: some Encodable) throws {
        self = try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value))
    }

    init(parsing text: String) throws {
        self = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    /// As text that PostgreSQL takes for `jsonb`.
    package func text() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return String(decoding: try encoder.encode(self.storable), as: UTF8.self)
    }

    /// This, with all its strings ``Swift/String/storable``.
    private var storable: JSONValue {
        switch self {
        case .null, .bool, .int, .double: self
        case .string(let value): .string(value.storable)
        case .array(let values): .array(values.map(\.storable))
        case .object(let fields):
            .object(Dictionary(fields.map { ($0.key.storable, $0.value.storable) }) { first, _ in first })
        }
    }
}

extension String {
    /// This, with U+FFFD in place of each U+0000: PostgreSQL keeps any other character, also in `jsonb`.
    ///
    /// What others have printed may hold anything.
    var storable: String {
        guard self.utf8.contains(0) else { return self }
        var scalars = UnicodeScalarView()
        scalars.append(contentsOf: self.unicodeScalars.lazy.map { $0 == "\0" ? "\u{FFFD}" : $0 })
        return String(scalars)
    }
}
