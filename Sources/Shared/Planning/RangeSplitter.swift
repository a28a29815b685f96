package import PostgresClient

/// Cuts the range of a batch that cannot be done as it is into two.
///
/// Blocks, groups and lists of keys are halved by number; what is left, a single block, a time window, ids, a slice of one
/// group, by the expired rows that are in it now: few of them become two lists of keys, many are cut at their median. The
/// rows are read under the limits of a batch.
package struct RangeSplitter: Sendable {
    let statements: RangeStatement
    let limits: TransactionSettings.TimeLimits

    package init(_ statements: RangeStatement, limits: TransactionSettings.TimeLimits) {
        self.statements = statements
        self.limits = limits
    }

    /// So few rows become keys at once; no block has more.
    private static let fewKeys = 1_000
    /// So many rows that share their time, or slice, are named one by one; of more, batches are never made.
    private static let mostKeys = 50_000

    /// The two halves; nil for a single row, and for what cannot be halved.
    ///
    /// - Throws: `PostgresError`.
    package func halves(
        of range: BatchRange,
        _ connection: PostgresConnection
    ) async throws -> (BatchRange, BatchRange)? {
        switch range {
        case .keys(let keys): return Self.halves(keys)
        case .block(let from, let to) where to - from > 1:
            let middle = from + (to - from) / 2
            return (.block(from: from, to: middle), .block(from: middle, to: to))
        case .group(let from, let to, let slice) where to - from > 1:
            let middle = from + (to - from) / 2
            return (.group(from: from, to: middle, slice: slice), .group(from: middle, to: to, slice: slice))
        default: break
        }
        return try await connection.transaction(readOnly: true) { connection in
            let settings = self.statements.settings(for: range, limits: self.limits).statement()
            _ = try connection.run(settings.sql, settings.parameters)
            let keys = try self.keys(range, limit: Self.fewKeys + 1, connection)
            if keys.count <= Self.fewKeys { return Self.halves(keys) }
            if let middle = try self.middle(range, connection) { return Self.cut(range, at: middle) }
            let all = try self.keys(range, limit: Self.mostKeys + 1, connection)
            return all.count <= Self.mostKeys ? Self.halves(all) : nil
        }
    }

    /// A range that holds one expired row, as its key; any other as it is.
    package func narrowed(_ range: BatchRange, _ connection: PostgresConnection) async throws -> BatchRange {
        if case .keys = range { return range }
        return try await connection.transaction(readOnly: true) { connection in
            let settings = self.statements.settings(for: range, limits: self.limits).statement()
            _ = try connection.run(settings.sql, settings.parameters)
            let keys = try self.keys(range, limit: 2, connection)
            return keys.count == 1 ? .keys(keys) : range
        }
    }

    private func keys(
        _ range: BatchRange,
        limit: Int,
        _ connection: isolated PostgresConnection
    ) throws -> [[String]] {
        let key = self.statements.resolved.key
        let columns = key.map { "\(RuleSQL.row).\(SQLText.quoted($0.name))::text" }
        let statement = self.statements.select(columns.joined(separator: ", "), range, suffix: "LIMIT \(limit)")
        return try connection.run(statement.sql, statement.parameters).rows.map { row in
            try key.indices.map { try row.text($0) }
        }
    }

    /// A value of the range's column with expired rows below it and at or above it; nil when all share one value.
    private func middle(_ range: BatchRange, _ connection: isolated PostgresConnection) throws -> String? {
        let resolved = self.statements.resolved
        let column: ColumnFacts? =
            switch range {
            case .window: resolved.timeColumn
            case .idRange: resolved.key.first
            case .group: resolved.order.first
            case .block, .keys, .objects: nil
            }
        guard let column else { return nil }
        let name = "\(RuleSQL.row).\(SQLText.quoted(column.name))"
        let statement = self.statements.select(
            "(percentile_disc(0.5) WITHIN GROUP (ORDER BY \(name)))::text, min(\(name))::text, max(\(name))::text",
            range,
            suffix: ""
        )
        guard let row = try connection.run(statement.sql, statement.parameters).rows.first,
            let median = row[0], let least = row[1], let most = row[2], least != most
        else { return nil }
        return median == least ? most : median
    }

    private static func cut(_ range: BatchRange, at middle: String) -> (BatchRange, BatchRange)? {
        switch range {
        case .window(let from, let to): (.window(from: from, to: middle), .window(from: middle, to: to))
        case .idRange(let from, let to): (.idRange(from: from, to: middle), .idRange(from: middle, to: to))
        case .group(let from, let to, let slice):
            (
                .group(from: from, to: to, slice: .init(from: slice?.from, to: middle)),
                .group(from: from, to: to, slice: .init(from: middle, to: slice?.to))
            )
        case .block, .keys, .objects: nil
        }
    }

    private static func halves(_ keys: [[String]]) -> (BatchRange, BatchRange)? {
        guard keys.count > 1 else { return nil }
        let middle = keys.count / 2
        return (.keys(Array(keys[..<middle])), .keys(Array(keys[middle...])))
    }
}
