import PostgresClient
import Testing

@Suite struct PostgresConfigurationTests {
    @Test func `the description names the server and hides the password`() throws {
        let configuration = try PostgresConfiguration(
            url: "postgresql://alice:hunter2@db.example:6543/work",
            applicationName: "ebb"
        )
        #expect(configuration.description == "host=db.example port=6543 dbname=work user=alice")
        var dumped = ""
        dump([configuration], to: &dumped)
        for text in ["\(configuration)", "\([configuration])", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hunter2"))
        }
    }

    @Test(arguments: [
        "postgresql:///ebb", "postgresql://u:p%40ss@[::1]:5432/d?sslmode=disable", "host=/tmp dbname=ebb",
        "postgresql://a:1,b:2/d",
    ])
    func `whatever libpq understands is accepted`(url: String) throws {
        _ = try PostgresConfiguration(url: url, applicationName: "ebb")
    }

    @Test(arguments: [
        "", "hunter2", "postgresql://u:%zzhunter2@h/d", "postgresql://u:p@hunter2@h/d", "postgresql://u:hunter2/x@h/d",
        "postgresql://h/d?password", "postgresql://u:1/2?hunter2!=3@h/d", "postgresql://[hunter2/d",
        "host=h port=hunter2", "host=h hunter2=1", "password='hunter2", "host=h port=0",
    ])
    func `a bad URL is reported in one sentence without its content`(url: String) throws {
        let error = try #require(
            #expect(throws: PostgresError.self) { try PostgresConfiguration(url: url, applicationName: "ebb") }
        )
        #expect(error.code == .invalidConfiguration)
        #expect(!error.description.contains("hunter2"))
        #expect(!error.description.contains { $0.isNewline })
        #expect(!error.isRetryable)
    }
}
