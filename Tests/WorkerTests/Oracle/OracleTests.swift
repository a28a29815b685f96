import Shared
import TestSupport
import Testing

/// What survives a run is, row by row, what plain SQL says must survive.
@Suite(.timeLimit(.minutes(2))) struct OracleTests {
    @Test(arguments: OracleCase.cuts(OracleCase.rules))
    func `rules take exactly the rows that they describe`(_ cut: OracleCase.Cut) async throws {
        try await cut.check()
    }
}
