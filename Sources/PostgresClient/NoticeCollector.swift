import CLibPQ

/// Gathers the primary messages of notices.
///
/// Without a receiver libpq prints them to stderr, in the middle of our logs. Some callers need them: VACUUM reports a
/// table that it may not touch by a warning only.
///
/// Used on the connection's thread only: libpq calls the receiver from inside the calls that parse input.
final class NoticeCollector {
    private var messages: [String] = []

    /// The messages since the last call.
    func drain() -> [String] {
        defer { self.messages = [] }
        return self.messages
    }

    /// Registers this collector, which must outlive the `PGconn`.
    func attach(to connection: OpaquePointer) {
        let receiver: PQnoticeReceiver = { context, notice in
            guard let context, let notice, let text = PQresultErrorField(notice, EBB_DIAG_MESSAGE_PRIMARY) else {
                return
            }
            Unmanaged<NoticeCollector>.fromOpaque(context).takeUnretainedValue().messages.append(String(cString: text))
        }
        PQsetNoticeReceiver(connection, receiver, Unmanaged.passUnretained(self).toOpaque())
    }
}
