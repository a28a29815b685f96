/// Finds what somebody probably meant.
enum NearestName {
    /// The candidate nearest to `name`, or nil when none is near enough for the guess to help.
    ///
    /// Case does not count: the wrong case is the most common mistake. Of several equally near, the first.
    static func of(_ name: String, among candidates: [String]) -> String? {
        let typed = Array(name.lowercased())
        // A third of the letters may be wrong; beyond that the words merely share some.
        let limit = max(1, typed.count / 3)
        let distances = candidates.map { (candidate: $0, distance: Self.distance(typed, Array($0.lowercased()))) }
        guard let nearest = distances.min(by: { $0.distance < $1.distance }), nearest.distance <= limit else {
            return nil
        }
        return nearest.candidate
    }

    /// Levenshtein's distance: insertions, deletions and replacements that lead from one word to the other.
    static func distance(_ from: [Character], _ to: [Character]) -> Int {
        var previous = Array(0...to.count)
        for (row, left) in from.enumerated() {
            var current = [row + 1]
            for (column, right) in to.enumerated() {
                let replaced = previous[column] + (left == right ? 0 : 1)
                current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[to.count]
    }
}
