import Foundation
import Subprocess
import SystemPackage
import Testing

/// A library that, loaded before all others, lets a program's wall clock go wrong; how much says `SKEW_SECONDS`.
///
/// Only the wall clock: what measures durations is monotonic and goes on as it does.
enum SkewedClock {
    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <sys/time.h>
        #include <time.h>

        static long skew(void) { const char *text = getenv("SKEW_SECONDS"); return text ? atol(text) : 0; }

        int clock_gettime(clockid_t clock, struct timespec *now) {
          static int (*real)(clockid_t, struct timespec *);
          if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
          int result = real(clock, now);
          if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += skew();
          return result;
        }

        int gettimeofday(struct timeval *restrict now, void *restrict zone) {
          static int (*real)(struct timeval *, void *);
          if (!real) real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
          int result = real(now, zone);
          if (result == 0) now->tv_sec += skew();
          return result;
        }

        time_t time(time_t *now) {
          struct timespec present;
          clock_gettime(CLOCK_REALTIME, &present);
          if (now) *now = present.tv_sec;
          return present.tv_sec;
        }

        """

    /// Builds it with the compiler that comes with Swift, and returns its path.
    static func build(in directory: String) async throws -> String {
        let (source, library) = (directory + "/skew.c", directory + "/skew.so")
        try self.source.write(toFile: source, atomically: true, encoding: .utf8)
        let result = try await Subprocess.run(
            .name("clang"),
            arguments: ["-shared", "-fPIC", "-o", library, source, "-ldl"],
            input: .none,
            output: .string(limit: 1 << 16),
            error: .combinedWithOutput
        )
        try #require(result.terminationStatus.isSuccess, "\(result.standardOutput)")
        return library
    }
}
