/// What a run fixed at its creation, read from the ledger: a statement takes its values from here and from nowhere else.
package struct RunTerms: Sendable, Hashable {
    package var run: String
    /// The creation moment by the database's clock: `2026-11-21 00:00:00.123456`, UTC.
    package var createdAt: String
    /// `createdAt` minus the age; nil without `max_age`.
    package var cutoff: String?
    /// How many rows of each group stay; nil without `keep_newest`.
    package var keep: Int?

    /// Whether pivots decide which rows may go.
    package var keepsNewest: Bool { self.keep.map { $0 > 0 } ?? false }

    package init(run: String, createdAt: String, cutoff: String?, keep: Int?) {
        self.run = run
        self.createdAt = createdAt
        self.cutoff = cutoff
        self.keep = keep
    }
}
