/// Something took longer than it may.
package struct TimeLimitExceeded: Error, CustomStringConvertible {
    package var limit: Duration

    package init(limit: Duration) { self.limit = limit }

    package var description: String {
        "not done within \(DurationText.format(self.limit)); somebody may have locked the table"
    }
}

/// Cancels `body` after `limit`.
///
/// - Throws: `TimeLimitExceeded`, or what `body` throws.
package func withTimeLimit<Value: Sendable>(
    _ limit: Duration,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() ?? nil else { throw TimeLimitExceeded(limit: limit) }
        return value
    }
}
