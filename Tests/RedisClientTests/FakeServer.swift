import Foundation
import RedisClient
import Synchronization
import Testing

/// A TCP server on 127.0.0.1 that understands nothing and answers as it was told.
///
/// Connections are served one after the other, each by its own list: whenever bytes arrive, its next answer is given. After
/// the last one it hangs up.
final class FakeServer: Sendable {
    enum Answer: Sendable, Equatable {
        /// These bytes, whether a whole reply or not.
        case bytes(String)
        /// Nothing; the connection stays open.
        case silence
        /// An end of the connection that the peer sees as an error and not as an end of the stream.
        case reset
    }

    let port: UInt16
    private let listener: CInt
    private let connections = Mutex(0)

    /// How many connections were taken up.
    var accepted: Int { self.connections.withLock { $0 } }

    /// - `answers`: one list per connection; connections beyond are left to the kernel, which takes them up and is silent.
    init(_ answers: [[Answer]]) throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { buffer in
                bind(listener, buffer.baseAddress, length) == 0 && listen(listener, 1_000) == 0
                    && getsockname(listener, buffer.baseAddress, &length) == 0
            }
        }
        self.listener = listener
        self.port = UInt16(bigEndian: address.sin_port)
        try #require(isListening, "cannot listen on 127.0.0.1: errno \(errno)")
        // The thread must not keep the server alive, whose end is what ends the thread.
        Thread { [weak self] in
            // Here and not in `deinit`, or the number could be another's before this thread uses it again.
            defer { close(listener) }
            for list in answers {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                self?.connections.withLock { $0 += 1 }
                Self.serve(connection, list)
            }
            var untilShutdown = pollfd(fd: listener, events: 0, revents: 0)
            poll(&untilShutdown, 1, -1)
        }.start()
    }

    deinit { shutdown(self.listener, CInt(SHUT_RDWR)) }

    private static func serve(_ connection: CInt, _ answers: [Answer]) {
        defer { close(connection) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        for answer in answers {
            guard read(connection, &buffer, buffer.count) > 0 else { return }
            switch answer {
            case .bytes(let text): _ = write(connection, text, text.utf8.count)
            case .silence: break
            case .reset:
                var option = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
                return
            }
        }
        // A peer that is left in silence hangs up first.
        if answers.last == .silence { _ = read(connection, &buffer, buffer.count) }
    }

    /// A client of this server.
    func client(
        commandTimeout: Duration = TestRedis.patience,
        maxBackoff: Duration = .milliseconds(20),
        credentials: String = ""
    ) throws -> RedisClient {
        RedisClient(
            configuration: try RedisConfiguration(
                url: "redis://\(credentials)127.0.0.1:\(self.port)",
                commandTimeout: commandTimeout,
                maxBackoff: maxBackoff
            )
        )
    }
}
