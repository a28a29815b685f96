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

    /// Makes sure that the folders of files are what they seem to be, if they are there.
    ///
    /// - `paths`: one file of each folder will do.
    /// - Throws: `FolderError` for a path that could lead out of the store, for a folder that is a symbolic link or none, and
    ///   when there is nothing in the store at all, as where nothing is mounted.
    package func check(foldersOf paths: [String]) async throws {
        try await FileThread.shared.run {
            try self.withRoot { root in
                for path in paths {
                    let folder = try StoredPath.parts(path).dropLast()
                    if let descriptor = try self.open(folder, in: root) { close(descriptor) }
                }
            }
            if !paths.isEmpty { try self.checkNotEmpty() }
        }
    }

    /// How large files are, ``missing`` where there is none, or none that can be removed; in the order of the paths.
    ///
    /// - Throws: `FolderError` when the store is not there; also when all are missing and there is nothing in it, as where
    ///   nothing is mounted. `CancellationError`.
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
    /// - `limit`: one that was written to later stays: it is somebody's new one under the old path.
    /// - Returns: how many stay for that.
    /// - Throws: `FolderError` for the first file that cannot be removed, once all others are, and when files are missing and
    ///   there is nothing in the store at all; `CancellationError`.
    package func remove(_ paths: [String], writtenBy limit: Int) async throws -> Int {
        var failure: FolderError?
        var removal = Removal()
        for part in Self.chunks(of: paths) {
            try Task.checkCancellation()
            let found = try await FileThread.shared.run { try self.remove(part, of: paths, writtenBy: limit) }
            removal.missing += found.missing
            removal.newer += found.newer
            failure = failure ?? found.failure
        }
        if removal.missing > 0 { try await FileThread.shared.run { try self.checkNotEmpty() } }
        if let failure { throw failure }
        return removal.newer
    }

    private struct Removal: Sendable {
        var missing = 0
        var newer = 0
        var failure: FolderError?
    }

    /// Positions of paths, those of one folder together.
    private static func chunks(of paths: [String]) -> [[Int]] {
        // By bytes: two forms of one letter are two names to a file system, and one to a string's comparison.
        let order = paths.indices.sorted { paths[$0].utf8.lexicographicallyPrecedes(paths[$1].utf8) }
        return stride(from: 0, to: order.count, by: Self.chunk).map {
            Array(order[$0..<min($0 + Self.chunk, order.count)])
        }
    }

    // MARK: On the thread

    private func sizes(_ part: [Int], of paths: [String]) throws -> [Int] {
        try self.withRoot { root in
            var sizes = [Int](repeating: Self.missing, count: part.count)
            // What cannot be looked at says so when it is to be removed.
            _ = self.each(part, of: paths, in: root) { (position, folder, name) throws(FolderError) in
                var facts = stat()
                guard try self.works(paths[part[position]], fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW)),
                    facts.st_mode & S_IFMT != S_IFDIR
                else { return }
                sizes[position] = Int(facts.st_size)
            }
            return sizes
        }
    }

    private func remove(_ part: [Int], of paths: [String], writtenBy limit: Int) throws -> Removal {
        try self.withRoot { root in
            var removal = Removal()
            var emptied: Set<ArraySlice<String>> = []
            var found = 0
            removal.failure = self.each(part, of: paths, in: root) { (position, folder, name) throws(FolderError) in
                let path = paths[part[position]]
                var facts = stat()
                guard try self.works(path, fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW)) else { return }
                found += 1
                guard facts.st_mtim.tv_sec <= limit else {
                    removal.newer += 1
                    return
                }
                guard try self.works(path, unlinkat(folder, name, 0)) else { return }
                // A first-level folder stays: a store with nothing in it could not be told from one that is not mounted.
                let parts = try StoredPath.parts(path).dropLast()
                if parts.count > 1 { emptied.insert(parts) }
            }
            removal.missing = part.count - found
            for folder in emptied {
                guard let name = folder.last, let parent = try self.open(folder.dropLast(), in: root) else { continue }
                // One that still holds something stays, and what else keeps it from going is nobody's loss.
                _ = unlinkat(parent, name, AT_REMOVEDIR)
                close(parent)
            }
            return removal
        }
    }

    /// Calls `body` for each path with its position, the folder that it is in, and its name; not where there is no such folder.
    ///
    /// - Returns: the first error, once all others were done.
    private func each(
        _ part: [Int],
        of paths: [String],
        in root: CInt,
        _ body: (_ position: Int, _ folder: CInt, _ name: String) throws(FolderError) -> Void
    ) -> FolderError? {
        var failure: FolderError?
        var current: (parts: ArraySlice<String>, opened: Result<CInt?, FolderError>)?
        func leave() { if case .success(let descriptor?)? = current?.opened { close(descriptor) } }
        defer { leave() }
        for (position, index) in part.enumerated() {
            do throws(FolderError) {
                let parts = try StoredPath.parts(paths[index])
                if current.map({ StoredPath.isSame($0.parts, parts.dropLast()) }) != true {
                    leave()
                    current = nil
                    current = (
                        parts.dropLast(), Result { () throws(FolderError) in try self.open(parts.dropLast(), in: root) }
                    )
                }
                guard let name = parts.last, let folder = try current?.opened.get() else { continue }
                try body(position, folder, name)
            } catch {
                failure = failure ?? error
            }
        }
        return failure
    }

    private func withRoot<Value>(_ body: (CInt) throws -> Value) throws -> Value {
        let root = Glibc.open(self.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw FolderError.root(self, FolderError.words(errno)) }
        defer { close(root) }
        return try body(root)
    }

    /// A folder below the root, opened step by step; nil when it is not there.
    ///
    /// For the caller to close.
    private func open(_ parts: ArraySlice<String>, in root: CInt) throws(FolderError) -> CInt? {
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
            case ENOENT, ENAMETOOLONG: return nil
            case ELOOP, ENOTDIR:
                throw FolderError.unsafe(path, in: self, "leads over \(part), which is a symbolic link or no folder")
            default: throw FolderError.failed(path, in: self, code)
            }
        }
        return descriptor
    }

    /// Whether a call did what it was to do; false when there is no such file.
    private func works(_ path: String, _ result: CInt) throws(FolderError) -> Bool {
        if result == 0 { return true }
        switch errno {
        case ENOENT, ENAMETOOLONG: return false
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
        // By bytes, as the file system does it: to a string, a slash with an accent behind it is another letter.
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }), !path.utf8.contains(0) else {
            throw FolderError(
                kind: .unsafe,
                description: "the path \"\(path)\" could lead out of its store; "
                    + "accepted: relative ones without empty parts, \".\" and \"..\""
            )
        }
        return parts
    }

    /// Whether two folders have the same name to a file system.
    static func isSame(_ one: ArraySlice<String>, _ other: ArraySlice<String>) -> Bool {
        one.elementsEqual(other) { $0.utf8.elementsEqual($1.utf8) }
    }
}
