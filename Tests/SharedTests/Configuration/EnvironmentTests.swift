import Shared
import Testing

@Suite struct EnvironmentTests {
    @Test func `a variable that is not there is nil, and an empty one is not`() throws {
        let environment = Environment(["EMPTY": ""])
        #expect(try environment.value("MISSING") == nil)
        #expect(try environment.value("EMPTY")?.isEmpty == true)
    }

    @Test func `the process environment is the one this process has`() throws {
        #expect(try Environment.process().value("PATH")?.isEmpty == false)
    }

    @Test(arguments: ["secret", "secret\n", "secret\r\n", "secret\n\n"])
    func `a secret comes from a file, without the newlines at its end`(_ content: String) throws {
        try withTemporaryFile(content) { path in
            let value = try Environment(["PASSWORD_FILE": path]).value("PASSWORD")
            #expect(value == "secret")
        }
    }

    @Test func `a variable and its file exclude each other`() throws {
        let environment = Environment(["PASSWORD": "a", "PASSWORD_FILE": "/b"])
        #expect(throws: ConfigurationError("PASSWORD and PASSWORD_FILE are both set; accepted: one of them")) {
            try environment.value("PASSWORD")
        }
    }

    @Test(arguments: [
        ("/does/not/exist", "No such file or directory"), ("/", "Is a directory"), ("", "No such file or directory"),
    ])
    func `a file that cannot be read is named`(_ path: String, _ reason: String) throws {
        let sentence =
            "PASSWORD_FILE: cannot read the file \"\(path)\" (\(reason)); accepted: a path to a readable file"
        #expect(throws: ConfigurationError(sentence)) {
            try Environment(["PASSWORD_FILE": path]).value("PASSWORD")
        }
    }
}
