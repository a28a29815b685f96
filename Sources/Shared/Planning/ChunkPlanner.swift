package import PostgresClient

/// Cuts the next chunk of a run's batches.
package struct ChunkPlanner: Sendable {
    let statements: RangeStatement
    let connection: PostgresConnection

    package init(_ statements: RangeStatement, _ connection: PostgresConnection) {
        self.statements = statements
        self.connection = connection
    }

    /// A value range walks through this many batches a query, and asks again: few at first, since workers wait for them, and
    /// as many as are planned already later on.
    private static let hops = 4...16

    /// Where a generation starts; nil when there is nothing to delete.
    ///
    /// - `pivots`: how many pivots the run has, for the group strategy.
    package func start(_ strategy: Strategy, sizing: BatchSizing, pivots: Int) async throws -> PlanCursor? {
        if try await OpenLookup(self.statements).findsNothing(self.connection) { return nil }
        switch strategy {
        case .block:
            return PlanCursor(
                strategy: .block,
                sizing: sizing,
                next: "0",
                end: self.statements.resolved.facts.blocks
            )
        case .group:
            return PlanCursor(strategy: .group, sizing: sizing, next: "1", end: pivots + 1)
        // Objects have a plan of their own, see StepRunner+Objects.
        case .prefix: return nil
        case .key: return PlanCursor(strategy: .key, sizing: sizing, next: "", end: 0)
        case .window, .idRange:
            guard let first = try await self.firstValue(strategy) else { return nil }
            return PlanCursor(strategy: strategy, sizing: sizing, next: first, end: 0)
        }
    }

    /// The next chunk: about `limit` batches, at most half as many again.
    package func next(_ cursor: PlanCursor, limit: Int) async throws -> PlannedChunk {
        switch cursor.strategy {
        case .block: return self.blocks(cursor, limit: limit)
        case .window, .idRange:
            let hops = min(max(cursor.sequence, Self.hops.lowerBound), Self.hops.upperBound)
            return try await self.values(cursor, limit: min(limit, hops))
        case .group: return try await self.groups(cursor, limit: limit)
        case .prefix: return PlannedChunk(batches: [], cursor: cursor, isComplete: true)
        case .key: return try await self.keys(cursor, limit: limit)
        }
    }

    /// A rest of half the limit goes with the others: it is not worth a turn of its own.
    private func blocks(_ cursor: PlanCursor, limit: Int) -> PlannedChunk {
        var batches: [PlannedBatch] = []
        var next = Int(cursor.next) ?? cursor.end
        var atLimit = next
        while batches.count < limit + limit / 2 && next < cursor.end {
            let to = min(next + cursor.sizing.blocks(from: next, end: cursor.end), cursor.end)
            batches.append(PlannedBatch(range: .block(from: next, to: to), units: to - next))
            next = to
            if batches.count == limit { atLimit = next }
        }
        if next < cursor.end {
            batches.removeLast(batches.count - limit)
            next = atLimit
        }
        return self.chunk(batches, cursor, next: String(next), isComplete: next >= cursor.end)
    }

    /// The cursor moved on by `batches`.
    func chunk(
        _ batches: [PlannedBatch],
        _ cursor: PlanCursor,
        next: String,
        slice: String? = nil,
        isComplete: Bool
    ) -> PlannedChunk {
        var moved = cursor
        moved.sequence += batches.count
        moved.next = next
        moved.slice = slice
        let ordered = self.statements.resolved.chain == nil ? batches : Self.everyOther(batches)
        return PlannedChunk(batches: ordered, cursor: moved, isComplete: isComplete)
    }

    /// Every other batch first, then those in between.
    ///
    /// With `order: leaf_first`, a batch takes rows of its neighbours with it. Of two neighbours at work at once, one would find
    /// such rows locked, and leave what they hang on to another pass over the table.
    private static func everyOther(_ batches: [PlannedBatch]) -> [PlannedBatch] {
        stride(from: 0, to: batches.count, by: 2).map { batches[$0] }
            + stride(from: 1, to: batches.count, by: 2).map { batches[$0] }
    }

    // MARK: Single rows

    /// One batch a row; the cursor is the key of the last one, as a range.
    private func keys(_ cursor: PlanCursor, limit: Int) async throws -> PlannedChunk {
        var last: [String]?
        if !cursor.next.isEmpty, case .keys(let keys) = try BatchRange(encoded: cursor.next) { last = keys.first }
        let statement = self.statements.keys(after: last, limit: limit)
        let found = try await self.pinned(statement, as: .keys([])).map { row in
            try self.statements.resolved.key.indices.map { try row.text($0) }
        }
        let batches = found.map { PlannedBatch(range: .keys([$0]), units: 1) }
        let next = found.last.map { BatchRange.keys([$0]).encoded } ?? cursor.next
        return self.chunk(batches, cursor, next: next, isComplete: found.count < limit)
    }

    // MARK: Groups

    /// Packs groups into batches by how many expired rows each has; one that is larger than a batch is sliced by its first
    /// order column.
    private func groups(_ cursor: PlanCursor, limit: Int) async throws -> PlannedChunk {
        let first = Int(cursor.next) ?? cursor.end
        guard first < cursor.end else { return self.chunk([], cursor, next: cursor.next, isComplete: true) }
        if let slice = cursor.slice { return try await self.slices(of: first, from: slice, cursor, limit: limit) }
        let last = min(cursor.end, first + limit)
        let statement = self.statements.groupSizes(first..<last, limit: cursor.units * 2)
        var sizes: [Int: Int] = [:]
        for row in try await self.pinned(statement, as: .group(from: first, to: last, slice: nil)) {
            if let ordinal = row.int(0) { sizes[ordinal] = row.int(1) }
        }
        var batches: [PlannedBatch] = []
        var from = first
        var rows = 0
        for ordinal in first..<last {
            let size = sizes[ordinal] ?? 0
            if size >= cursor.units * 2 {
                if rows > 0 {
                    batches.append(PlannedBatch(range: .group(from: from, to: ordinal, slice: nil), units: rows))
                }
                return self.chunk(batches, cursor, next: String(ordinal), slice: "-infinity", isComplete: false)
            }
            if rows + size > cursor.units && rows > 0 {
                batches.append(PlannedBatch(range: .group(from: from, to: ordinal, slice: nil), units: rows))
                from = ordinal
                rows = 0
            }
            rows += size
        }
        if rows > 0 { batches.append(PlannedBatch(range: .group(from: from, to: last, slice: nil), units: rows)) }
        return self.chunk(batches, cursor, next: String(last), isComplete: last >= cursor.end)
    }

    private func slices(
        of ordinal: Int,
        from slice: String,
        _ cursor: PlanCursor,
        limit: Int
    ) async throws -> PlannedChunk {
        var batches: [PlannedBatch] = []
        var from: String? = slice == "-infinity" ? nil : slice
        while batches.count < min(limit, Self.hops.upperBound) {
            let statement = self.statements.sliceBoundary(ordinal, from: from, offset: cursor.units)
            let range = BatchRange.group(from: ordinal, to: ordinal + 1, slice: .init(from: from, to: nil))
            var boundary = try await self.pinned(statement, as: range).first?[0]
            if let value = boundary, value == from {
                // One value with more rows than a batch: it goes alone, whatever its size.
                let following = self.statements.sliceAfter(ordinal, value)
                boundary = try await self.pinned(following, as: range).first?[0]
            }
            guard let boundary else {
                // The end of the group.
                batches.append(PlannedBatch(range: range, units: 0))
                return self.chunk(
                    batches,
                    cursor,
                    next: String(ordinal + 1),
                    isComplete: ordinal + 1 >= cursor.end
                )
            }
            let slice = BatchRange.Slice(from: from, to: boundary)
            batches.append(
                PlannedBatch(range: .group(from: ordinal, to: ordinal + 1, slice: slice), units: cursor.units)
            )
            from = boundary
        }
        return self.chunk(batches, cursor, next: String(ordinal), slice: from, isComplete: false)
    }

    /// Runs a statement with the plan that batches of the same kind have.
    func pinned(
        _ statement: PostgresStatement,
        as range: BatchRange = .window(from: nil, to: nil)
    ) async throws -> [PostgresRow] {
        let settings = self.statements.settings(for: range).statement()
        return try await self.connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try connection.run(statement.sql, statement.parameters).rows
        }
    }
}
