import Glibc

/// A serial executor that runs its jobs on one dedicated OS thread.
///
/// Both drivers block: libpq while it resolves names and cancels, hiredis in every call. Giving each connection a thread
/// of its own keeps that away from Swift's cooperative pool, which has only as many threads as the machine has cores.
///
/// The thread retains `Loop`, never the executor, so the executor can be released from any thread, including its own.
package final class ThreadExecutor: SerialExecutor {
    private let loop: Loop

    /// Starts the thread.
    ///
    /// - Parameter name: shown by `ps -L` and in backtraces; the kernel keeps its first 15 bytes.
    package init(name: String) {
        self.loop = Loop(name: name)
        self.loop.start()
    }

    deinit { self.loop.stop() }

    package func enqueue(_ job: consuming ExecutorJob) {
        // Holding `self` until the job has run keeps the UnownedSerialExecutor valid.
        self.loop.append((UnownedJob(job), self))
    }

    package func isIsolatingCurrentContext() -> Bool? { self.loop.isCurrentThread }

    package func checkIsolated() { precondition(self.loop.isCurrentThread, "not on the executor's thread") }
}

// @unchecked: `jobs` and `stopping` are only touched with `mutex` held; `thread` is written before any job runs.
private final class Loop: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let available = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [(UnownedJob, ThreadExecutor)] = []
    private var stopping = false
    private var thread = pthread_t()
    private let name: String

    init(name: String) {
        self.name = name
        pthread_mutex_init(self.mutex, nil)
        pthread_cond_init(self.available, nil)
    }

    deinit {
        pthread_cond_destroy(self.available)
        pthread_mutex_destroy(self.mutex)
        self.available.deallocate()
        self.mutex.deallocate()
    }

    var isCurrentThread: Bool { pthread_equal(self.thread, pthread_self()) != 0 }

    func start() {
        let context = Unmanaged.passRetained(self).toOpaque()
        let result = pthread_create(
            &self.thread,
            nil,
            { context in
                guard let context else { return nil }
                let loop = Unmanaged<Loop>.fromOpaque(context).takeRetainedValue()
                loop.nameThread()
                while let batch = loop.waitForJobs() {
                    for (job, executor) in batch { job.runSynchronously(on: executor.asUnownedSerialExecutor()) }
                }
                return nil
            },
            context
        )
        precondition(result == 0, "pthread_create failed with errno \(result): the process is out of threads")
        pthread_detach(self.thread)
    }

    /// Names the calling thread; a thread without a name works as well, so a failure here changes nothing.
    ///
    /// Through /proc, because Swift imports neither `prctl` (variadic) nor `pthread_setname_np`.
    private func nameThread() {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, self.name, min(self.name.utf8.count, 15))
        close(descriptor)
    }

    func append(_ entry: (UnownedJob, ThreadExecutor)) {
        pthread_mutex_lock(self.mutex)
        self.jobs.append(entry)
        pthread_cond_signal(self.available)
        pthread_mutex_unlock(self.mutex)
    }

    func stop() {
        pthread_mutex_lock(self.mutex)
        self.stopping = true
        pthread_cond_signal(self.available)
        pthread_mutex_unlock(self.mutex)
    }

    /// The jobs that have gathered, or nil once the executor is gone and nothing is left to run.
    private func waitForJobs() -> [(UnownedJob, ThreadExecutor)]? {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        while self.jobs.isEmpty && !self.stopping { pthread_cond_wait(self.available, self.mutex) }
        if self.jobs.isEmpty { return nil }
        let batch = self.jobs
        self.jobs = []
        return batch
    }
}
