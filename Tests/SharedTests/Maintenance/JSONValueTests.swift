import Testing

@testable import Shared

@Suite struct JSONValueTests {
    @Test func `its text has nothing that jsonb refuses`() throws {
        let value = JSONValue.object([
            "a\0": .array([.string("\0"), .string("b\0\r\n\0"), .string("\\u0000"), .string(""), .int(1), .null])
        ])
        #expect(try value.text() == #"{"a�":["�","b�\r\n�","\\u0000","",1,null]}"#)
    }

    @Test(arguments: ["", "a", "\u{1}", "👩‍👩‍👧", "e\u{301}\r\n", "\\0"])
    func `a text without U+0000 stays as it is`(_ text: String) throws {
        #expect(Array(text.storable.unicodeScalars) == Array(text.unicodeScalars))
    }
}
