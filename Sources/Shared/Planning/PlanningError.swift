/// Why a target cannot be planned: each is one sentence for the operator.
package struct PlanningError: Error, CustomStringConvertible, Equatable {
    package var description: String

    package init(_ description: String) { self.description = description }

    static func missingTable(target: String, table: String) -> PlanningError {
        PlanningError(
            "target \(target): table \(table) does not exist in this database; "
                + "check DATABASE_URL and the target's table and schema"
        )
    }

    static func notATable(target: String, table: String) -> PlanningError {
        PlanningError("target \(target): \(table) is not an ordinary or partitioned table; accepted: those two")
    }

    static func missingColumn(target: String, table: String, column: String, known: [String]) -> PlanningError {
        let near = NearestName.of(column, among: known).map { "; did you mean \($0)?" } ?? ""
        return PlanningError("target \(target): table \(table) has no column \(SQLText.quoted(column))\(near)")
    }
}
