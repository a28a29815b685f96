import ThreadExecutor

/// The thread on which this process works on files: file systems block, and Swift's pool must not.
actor FileThread {
    static let shared = FileThread()

    private let executor = ThreadExecutor(name: "files")

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    func run<Value: Sendable>(_ body: @Sendable () throws -> Value) throws -> Value { try body() }
}
