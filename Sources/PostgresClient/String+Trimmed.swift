extension String {
    /// The text without white space at its ends; libpq's messages end in a newline.
    var trimmed: String {
        guard let first = self.firstIndex(where: { !$0.isWhitespace }),
            let last = self.lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }

    /// The first line; libpq appends speculation about causes on further, indented lines.
    var firstLine: String { String(self.trimmed.prefix { !$0.isNewline }) }
}
