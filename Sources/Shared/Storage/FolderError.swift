import Glibc

/// What stands in the way of a folder's files: one sentence.
package struct FolderError: Error, Sendable, Hashable, CustomStringConvertible {
    package var kind: Kind
    package var description: String

    package enum Kind: Sendable, Hashable {
        /// The store's folder is not on this machine, or nothing is mounted there.
        case root
        /// This process may not; somebody has to mend it.
        case denied
        /// A path that could lead out of the store, or does not name a file.
        case unsafe
        /// Anything else.
        case failed
    }

    static func root(_ store: FolderStore, _ problem: String) -> FolderError {
        FolderError(
            kind: .root,
            description:
                "the folder \(store.root) of a store cannot be used on \(HostName.current): \(problem); mount it there, or run "
                + "workers only where it is, then producer resume"
        )
    }

    static func unsafe(_ path: String, in store: FolderStore, _ problem: String) -> FolderError {
        FolderError(
            kind: .unsafe,
            description: "\(path) in \(store.root) \(problem); accepted: a file, with folders on the way to it"
        )
    }

    static func failed(_ path: String, in store: FolderStore, _ code: CInt) -> FolderError {
        let isDenied = [EACCES, EPERM, EROFS].contains(code)
        return FolderError(
            kind: isDenied ? .denied : .failed,
            description: "\(path) in \(store.root) on \(HostName.current): \(Self.words(code))"
        )
    }

    static func words(_ code: CInt) -> String { String(cString: strerror(code)) }
}
