import Shared
import TestSupport
import Testing

/// What survives a run is, row by row, what plain SQL says must survive.
@Suite(.timeLimit(.minutes(5))) struct OracleTests {
    @Test(arguments: OracleCase.cuts(OracleCase.rules))
    func `rules take exactly the rows that they describe`(_ cut: OracleCase.Cut) async throws {
        try await cut.check()
    }

    @Test(arguments: OracleCase.cuts(OracleCase.protected))
    func `what is referred to stays`(_ cut: OracleCase.Cut) async throws {
        try await cut.check()
    }

    @Test(arguments: OracleCase.cuts(OracleCase.chained))
    func `rows go with all that hang on them, or not at all`(_ cut: OracleCase.Cut) async throws {
        try await cut.check()
    }

    @Test(arguments: OracleCase.cuts(OracleCase.tables))
    func `types, sessions and the state of a table change nothing`(_ cut: OracleCase.Cut) async throws {
        try await cut.check()
    }

    @Test(arguments: OracleCase.cuts(OracleCase.shapes))
    func `keys, names and joins of any shape are served`(_ cut: OracleCase.Cut) async throws {
        try await cut.check()
    }
}
