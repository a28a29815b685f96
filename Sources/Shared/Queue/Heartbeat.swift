/// Runs `body` with a heartbeat beside it.
///
/// - `lease`: how long one beat lasts; beats come three times as often.
/// - `beat`: renews the lease; false when somebody else holds it now. An error counts as a beat that did not arrive: the
///   lease is given up only when none has arrived for as long as it lasts.
/// - `body`: cancelled when the lease is lost.
/// - Throws: `LeaseLost`, or what `body` throws.
package func withHeartbeat<Value: Sendable>(
    lease: Duration,
    beat: @escaping @Sendable () async throws -> Bool,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            let clock = ContinuousClock()
            var renewed = clock.now
            while true {
                try await Task.sleep(for: lease / 3, clock: clock)
                do {
                    guard try await beat() else { throw LeaseLost() }
                    renewed = clock.now
                } catch let error as LeaseLost {
                    throw error
                } catch {
                    if renewed.duration(to: clock.now) >= lease { throw LeaseLost() }
                }
            }
        }
        defer { group.cancelAll() }
        // The body's task never ends without a value or an error, so there always is a first.
        guard let value = try await group.next() else { throw LeaseLost() }
        return value
    }
}

/// Somebody else holds the lease now, or it ran out while Redis was away.
package struct LeaseLost: Error, Sendable, CustomStringConvertible {
    package init() {}

    package var description: String { "the lease was lost: another process has taken over" }
}
