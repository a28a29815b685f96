import Glibc
import Testing

/// Accepts TCP connections, through the kernel's backlog, and never says a word.
struct SilentServer: ~Copyable {
    private let descriptor: CInt
    let port: UInt16

    init() throws {
        self.descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = self.descriptor
        let listening = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { buffer in
                bind(descriptor, buffer.baseAddress, length) == 0 && listen(descriptor, 8) == 0
                    && getsockname(descriptor, buffer.baseAddress, &length) == 0
            }
        }
        self.port = UInt16(bigEndian: address.sin_port)
        try #require(listening, "cannot listen on 127.0.0.1: errno \(errno)")
    }

    deinit { close(self.descriptor) }
}
