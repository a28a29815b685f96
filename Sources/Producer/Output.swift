import FoundationEssentials
import Glibc

/// What commands write to standard output.
enum Output {
    /// Whether a person looks at it; a pipe gets plain lines.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// One JSON document, with stable key order.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// One JSON document on a line of its own, with stable key order.
    static func jsonLine(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Rows of cells as columns two spaces apart; what has several lines, such as SQL, is one here.
    static func table(_ rows: [[String]]) {
        let rows = rows.map { $0.map { Self.line($0) } }
        let widths = (rows.first ?? []).indices.map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        for row in rows {
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            print(cells.joined(separator: "  ").trimmed)
        }
    }

    /// A text on one line, cut where it is longer than `most`.
    static func line(_ text: String, most: Int = .max) -> String {
        let line =
            text.contains(where: \.isNewline)
            ? text.split(whereSeparator: \.isWhitespace).joined(separator: " ") : text
        return line.count > most ? line.prefix(most - 1) + "…" : line
    }

    /// `1 row`, `4 000 000 rows`; `noun` in the singular.
    static func count(_ value: Int, _ noun: String) -> String {
        "\(Self.number(value)) \(noun)\(value == 1 ? "" : "s")"
    }

    /// A whole number with thin groups: `4 000 000`.
    static func number(_ value: Int) -> String {
        let digits = Array(String(abs(value)))
        var text = ""
        for (position, digit) in digits.enumerated() {
            if position > 0 && (digits.count - position).isMultiple(of: 3) { text.append(" ") }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    /// Bytes in the unit that leaves one to three digits before the point.
    static func bytes(_ value: Int) -> String {
        var amount = Double(value)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if amount < 1_024 { return "\(Int(amount.rounded())) \(unit)" }
            amount /= 1_024
        }
        return "\((amount * 10).rounded() / 10) TiB"
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
