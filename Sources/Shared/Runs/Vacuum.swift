/// How Ebb vacuums.
package enum Vacuum {
    /// After which its connection is taken for dead.
    package static let longest = Duration.seconds(7 * 86_400)

    /// The statement for a table, whose name is quoted.
    ///
    /// A table that somebody has locked is left alone, since waiting for that has no limit, and its file is not made shorter, which
    /// would lock others out.
    ///
    /// - `full`: whether the table is written anew, which does.
    package static func statement(_ table: String, full: Bool = false) -> String {
        "VACUUM (\(full ? "FULL, ANALYZE" : "ANALYZE, TRUNCATE off"), SKIP_LOCKED) \(table)"
    }
}
