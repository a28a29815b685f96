/// Limits for tests in which nobody is killed: a busy machine may stop any process for many seconds.
enum Unhurried {
    static let limits = "statement_timeout: 10m, idle_timeout: 10m"
    static let leases = "leases: {duration: 1h}"

    /// Settings of batches, with these limits.
    static func settings(_ batches: String) -> String { "batches: {\(batches), \(Self.limits)}\n\(Self.leases)" }
}
