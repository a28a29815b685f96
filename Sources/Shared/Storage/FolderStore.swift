import Glibc

/// A folder that holds files of rows: a store on a file system of this machine.
///
/// No path leads out of it: every folder on the way is opened by its own name, and a symbolic link among them is refused. All of it
/// blocks, and runs on a thread of its own.
package struct FolderStore: Sendable, Hashable {
    /// Absolute.
    package let root: String

    package init(root: String) { self.root = root }

    /// A size that says that there was no file.
    package static let missing = -1

    /// How many files one job of the thread handles, so that batches take turns and can be stopped.
    private static let chunk = 512

    /// Makes sure that the folder is there.
    ///
    /// - Throws: `FolderError` that names it and this machine.
    package func check() async throws { try await FileThread.shared.run { try self.withRoot { _ in } } }

    /// Makes sure that folders are what they seem to be, if they are there.
    ///
    /// - Throws: `FolderError` for one that is a symbolic link, or no folder, and for one that would lead out of the root.
    package func check(folders: [String]) async throws {
        try await FileThread.shared.run {
            try self.withRoot { root in
                for folder in folders where !folder.isEmpty {
                    let parts = try StoredPath.parts(folder)
                    if let descriptor = try self.open(parts[...], in: root) { close(descriptor) }
                }
            }
        }
    }

    /// How large files are, ``missing`` where there is none; in the order of the paths.
    ///
    /// - Throws: `FolderError`; also when all are missing and the folder is empty, as where nothing is mounted. `CancellationError`.
    package func sizes(of paths: [String]) async throws -> [Int] {
        var sizes = [Int](repeating: Self.missing, count: paths.count)
        for part in Self.chunks(of: paths) {
            try Task.checkCancellation()
            let found = try await FileThread.shared.run { try self.sizes(part, of: paths) }
            for (index, size) in zip(part, found) { sizes[index] = size }
        }
        if !paths.isEmpty, sizes.allSatisfy({ $0 == Self.missing }) {
            try await FileThread.shared.run { try self.checkNotEmpty() }
        }
        return sizes
    }

    /// Removes files, and their own folders where those are empty then; a file that is gone is as good as removed.
    ///
    /// - Throws: `FolderError` for the first file that cannot be removed, once all others are; `CancellationError`.
    package func remove(_ paths: [String]) async throws {
        var failure: FolderError?
        for part in Self.chunks(of: paths) {
            try Task.checkCancellation()
            let problem = try await FileThread.shared.run { try self.remove(part, of: paths) }
            failure = failure ?? problem
        }
        if let failure { throw failure }
    }

    /// Positions of paths, those of one folder together.
    private static func chunks(of paths: [String]) -> [[Int]] {
        let order = paths.indices.sorted { paths[$0] < paths[$1] }
        return stride(from: 0, to: order.count, by: Self.chunk).map { Array(order[$0..<min($0 + Self.chunk, order.count)]) }
    }

    // MARK: On the thread

    private func sizes(_ part: [Int], of paths: [String]) throws -> [Int] {
        try self.withRoot { root in
            var sizes: [Int] = []
            try self.each(part, of: paths, in: root) { path, folder, name in
                var facts = stat()
                guard let folder, try self.works(path, fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW)) else {
                    return sizes.append(Self.missing)
                }
                guard facts.st_mode & S_IFMT != S_IFDIR else { throw FolderError.unsafe(path, in: self, "is a folder") }
                sizes.append(Int(facts.st_size))
            }
            return sizes
        }
    }

    private func remove(_ part: [Int], of paths: [String]) throws -> FolderError? {
        try self.withRoot { root in
            var failure: FolderError?
            var emptied: Set<String> = []
            try self.each(part, of: paths, in: root) { path, folder, name in
                do {
                    guard let folder, try self.works(path, unlinkat(folder, name, 0)) else { return }
                    emptied.insert(String(path.dropLast(name.utf8.count + 1)))
                } catch let error as FolderError where error.kind != .denied {
                    failure = failure ?? error
                }
            }
            for folder in emptied where !folder.isEmpty { try self.removeIfEmpty(folder, in: root) }
            return failure
        }
    }

    /// Only the folder itself, never one above it; one that still holds something stays.
    private func removeIfEmpty(_ path: String, in root: CInt) throws {
        let parts = try StoredPath.parts(path)
        guard let parent = try self.open(parts.dropLast(), in: root), let name = parts.last else { return }
        defer { close(parent) }
        // What keeps an empty folder from going is nobody's loss.
        _ = unlinkat(parent, name, AT_REMOVEDIR)
    }

    /// Calls `body` with each path, its folder, nil when that is not there, and its name.
    private func each(
        _ part: [Int],
        of paths: [String],
        in root: CInt,
        _ body: (_ path: String, _ folder: CInt?, _ name: String) throws -> Void
    ) throws {
        var current: (parts: [String], descriptor: CInt?)?
        defer { if let descriptor = current?.descriptor { close(descriptor) } }
        for index in part {
            let parts = try StoredPath.parts(paths[index])
            guard let name = parts.last else { continue }
            let folder = Array(parts.dropLast())
            if current?.parts != folder {
                if let descriptor = current?.descriptor { close(descriptor) }
                current = nil
                current = (folder, try self.open(folder[...], in: root))
            }
            try body(paths[index], current?.descriptor, name)
        }
    }

    private func withRoot<Value>(_ body: (CInt) throws -> Value) throws -> Value {
        let root = Glibc.open(self.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw FolderError.root(self, FolderError.words(errno)) }
        defer { close(root) }
        return try body(root)
    }

    /// A folder below the root, opened step by step; nil when it is not there. For the caller to close.
    private func open(_ parts: ArraySlice<String>, in root: CInt) throws -> CInt? {
        var descriptor = dup(root)
        guard descriptor >= 0 else { throw FolderError.failed(self.root, in: self, errno) }
        for part in parts {
            let next = openat(descriptor, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            let code = errno
            close(descriptor)
            descriptor = next
            if next >= 0 { continue }
            let path = parts.joined(separator: "/")
            switch code {
            case ENOENT: return nil
            case ELOOP, ENOTDIR:
                throw FolderError.unsafe(path, in: self, "leads over \(part), which is a symbolic link or no folder")
            default: throw FolderError.failed(path, in: self, code)
            }
        }
        return descriptor
    }

    /// Whether a call did what it was to do; false when there is no such file.
    private func works(_ path: String, _ result: CInt) throws -> Bool {
        if result == 0 { return true }
        switch errno {
        case ENOENT: return false
        case EISDIR: throw FolderError.unsafe(path, in: self, "is a folder")
        case let code: throw FolderError.failed(path, in: self, code)
        }
    }

    private func checkNotEmpty() throws {
        guard let folder = opendir(self.root) else { throw FolderError.root(self, FolderError.words(errno)) }
        defer { closedir(folder) }
        for _ in 0..<3 where readdir(folder) == nil {
            throw FolderError.root(self, "it is empty, as where nothing is mounted")
        }
    }
}

/// The path of a file in a store, as a row's expression gives it.
package enum StoredPath {
    /// Its folders and its name.
    ///
    /// - Throws: `FolderError` for one that is empty or absolute, or has a part that is empty, `.` or `..`.
    package static func parts(_ path: String) throws(FolderError) -> [String] {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }), !path.utf8.contains(0) else {
            throw FolderError(
                kind: .unsafe,
                description: "the path \"\(path)\" could lead out of its store; "
                    + "accepted: relative ones without empty parts, \".\" and \"..\""
            )
        }
        return parts
    }
}
