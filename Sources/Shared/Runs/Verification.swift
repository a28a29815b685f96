import PostgresClient

/// Looks for rows that a run should have deleted and that are still there.
///
/// Everything is read in **one snapshot**: with a snapshot per piece, a row that an update moves from a piece not yet read
/// into one already read would be overlooked.
package struct Verification: Sendable {
    let statements: RangeStatement
    /// What is known of the generation's pivots; nil without `keep_newest`.
    let pivots: Ledger.PivotSet?
    let scope: Scope
    /// Ranges that were given up on: their rows are accounted for by dead letters.
    let givenUp: [BatchRange]

    /// What is looked at, and what is wanted.
    enum Scope: Sendable, Equatable {
        /// The whole table; blocks with leftovers.
        case blocks
        /// The whole table; the keys of leftovers.
        case keys
        /// These rows only, which were all that was left at an earlier look. What has expired since is not this run's:
        /// otherwise a run could not end while somebody keeps inserting rows that are expired already.
        case owed([[String]])
    }

    /// What was found.
    package struct Findings: Sendable, Equatable {
        /// Batches that cover the leftovers, at most 100; empty when nothing is left.
        package var leftovers: [BatchRange] = []
        /// The leftovers' keys, unless blocks were wanted.
        package var keys: [[String]] = []
        /// Whether there are more leftovers than `leftovers` covers.
        package var isTruncated = false
        /// Whether pivots must be found anew before anything can be said: some lost a witness, or rows turned up that a
        /// sample's pivots say nothing about.
        package var needsPivots = false
    }

    /// Blocks read by one statement: some ten milliseconds, and a heartbeat's worth of granularity.
    private static let blocksPerStatement = 8_192
    /// The greatest block number there is.
    private static let lastBlock = Int(UInt32.max) - 1
    private static let groupsPerStatement = 1_000
    private static let mostBatches = 100
    private static let mostKeys = 10_000
    private static let keysPerStatement = 500

    /// Reads the table, unless a look-up tells that nothing is left.
    ///
    /// - `strategy`: how the run deleted; it is verified the same way.
    func run(_ strategy: Strategy, unitsPerBatch: Int, _ connection: PostgresConnection) async throws -> Findings {
        if self.scope == .blocks, try await OpenLookup(self.statements).findsNothing(connection) { return Findings() }
        let facts = self.statements.resolved.facts
        let chunks = self.ranges(strategy)
        let byKey = self.scope != .blocks || !facts.isPlainHeap || strategy == .key
        return try await connection.transaction(isolation: "REPEATABLE READ", readOnly: true) { connection in
            var findings = Findings()
            let searching = TransactionSettings.searching.statement()
            _ = try connection.run(searching.sql, searching.parameters)
            if let pivots, try self.provenPivots(connection) < pivots.count {
                findings.needsPivots = true
                return findings
            }
            var blocks: [Int] = []
            var keys: [[String]] = []
            for range in chunks {
                let pins = self.statements.settings(for: range).statement()
                _ = try connection.run(pins.sql, pins.parameters)
                if let pivots, !pivots.isExact, try self.hasUncovered(range, connection) {
                    findings.needsPivots = true
                    return findings
                }
                let limit = byKey ? Self.mostKeys : Self.mostBatches * max(unitsPerBatch, 1)
                let found = try self.leftovers(range, byKey: byKey, limit: limit + 1, connection)
                if byKey { keys += found } else { blocks += found.compactMap { $0.first.flatMap { Int($0) } } }
                // Rows that hang on each other may be found twice.
                if self.statements.resolved.chain != nil { keys = Self.unique(keys) }
                if keys.count > Self.mostKeys || blocks.count > limit { break }
            }
            if byKey {
                findings.isTruncated = keys.count > Self.mostKeys
                findings.keys = Array(keys.prefix(Self.mostKeys))
                findings.leftovers = Self.batches(of: findings.keys)
            } else {
                let ranges = Self.ranges(of: blocks, at: unitsPerBatch)
                findings.isTruncated = ranges.count > Self.mostBatches
                findings.leftovers = Array(ranges.prefix(Self.mostBatches))
            }
            return findings
        }
    }

    private static func unique(_ keys: [[String]]) -> [[String]] {
        var seen: Set<[String]> = []
        return keys.filter { seen.insert($0).inserted }
    }

    /// The whole table, in pieces of one statement each.
    private func ranges(_ strategy: Strategy) -> [BatchRange] {
        if case .owed(let keys) = self.scope {
            return stride(from: 0, to: keys.count, by: Self.keysPerStatement).map {
                .keys(Array(keys[$0..<min($0 + Self.keysPerStatement, keys.count)]))
            }
        }
        switch strategy {
        case .prefix: return []
        case .key where !self.statements.resolved.facts.isPlainHeap: return [.idRange(from: nil, to: nil)]
        case .block, .key:
            let starts = Array(
                stride(from: 0, to: max(self.statements.resolved.facts.blocks, 1), by: Self.blocksPerStatement)
            )
            // The last one is open: an update may have moved a row behind the end that was read with the facts.
            return zip(starts, starts.dropFirst() + [Self.lastBlock]).map { .block(from: $0, to: $1) }
        case .window: return [.window(from: nil, to: nil)]
        case .idRange: return [.idRange(from: nil, to: nil)]
        case .group:
            return stride(from: 1, to: (self.pivots?.count ?? 0) + 1, by: Self.groupsPerStatement).map {
                .group(from: $0, to: $0 + Self.groupsPerStatement, slice: nil)
            }
        }
    }

    /// How many of the generation's pivots can still be proven.
    private func provenPivots(_ connection: isolated PostgresConnection) throws -> Int {
        let statement = self.statements.countProvenPivots()
        return try connection.run(statement.sql, statement.parameters).rows.first?.int(0) ?? 0
    }

    /// Whether rows meet all conditions but that of being older than a pivot: their group has none, or a sampled one below
    /// them, which proves nothing.
    private func hasUncovered(_ range: BatchRange, _ connection: isolated PostgresConnection) throws -> Bool {
        let statement = self.statements.findUncovered(range)
        return try !connection.run(statement.sql, statement.parameters).rows.isEmpty
    }

    /// The blocks, or keys, of expired rows in a range; all pivots were proven before in the same snapshot.
    private func leftovers(
        _ range: BatchRange,
        byKey: Bool,
        limit: Int,
        _ connection: isolated PostgresConnection
    ) throws -> [[String]] {
        let row = RuleSQL.row
        // Without any expired row there is nothing to follow a chain from; this look is the faster one, and may run in parallel.
        if self.statements.resolved.chain != nil, self.scope == .blocks {
            let all = self.statements.select("count(*)", range, proven: false, except: self.givenUp, suffix: "")
            if try connection.run(all.sql, all.parameters).rows.first?.int(0) == 0 { return [] }
        }
        let statement: PostgresStatement
        if byKey {
            let keys = self.statements.resolved.key.map { "\(row).\(SQLText.quoted($0.name))::text" }
            statement = self.statements.selectLeftovers(
                keys.joined(separator: ", "),
                range,
                except: self.givenUp,
                suffix: "LIMIT \(limit)"
            )
        } else {
            statement = self.statements.selectLeftovers(
                "DISTINCT ((\(row).ctid::text::point)[0])::bigint AS block",
                range,
                except: self.givenUp,
                suffix: "ORDER BY block LIMIT \(limit)"
            )
        }
        let width = byKey ? self.statements.resolved.key.count : 1
        return try connection.run(statement.sql, statement.parameters).rows.map { found in
            try (0..<width).map { try found.text($0) }
        }
    }

    /// Keys in at most 100 batches: one each when they are few.
    private static func batches(of keys: [[String]]) -> [BatchRange] {
        let size = max(1, (keys.count + Self.mostBatches - 1) / Self.mostBatches)
        return stride(from: 0, to: keys.count, by: size).map { .keys(Array(keys[$0..<min($0 + size, keys.count)])) }
    }

    /// Ranges of at most `units` blocks that cover the given ones; what lies between them is read again, and spared.
    static func ranges(of blocks: [Int], at units: Int) -> [BatchRange] {
        var ranges: [BatchRange] = []
        var from: Int?
        var last = 0
        for block in Set(blocks).sorted() {
            if let start = from, block - start >= units {
                ranges.append(.block(from: start, to: last + 1))
                from = block
            }
            if from == nil { from = block }
            last = block
        }
        if let from { ranges.append(.block(from: from, to: last + 1)) }
        return ranges
    }
}
