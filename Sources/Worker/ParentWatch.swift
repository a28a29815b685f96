import Glibc
import ServiceLifecycle

/// Ends when the process that started this one is gone, also if it was killed before this one had begun to look.
///
/// The kernel could tell (`PR_SET_PDEATHSIG`), but `prctl` is variadic and Swift cannot call it.
struct ParentWatch: Service {
    private static let interval = Duration.seconds(1)

    /// Its process id, as it has told itself.
    let parent: Int32

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                while getppid() == self.parent { try await Task.sleep(for: Self.interval) }
            }
        } catch is CancellationError {}
    }
}
