import RedisClient

/// The Lua units that deal with sessions, each with its contract on top of its source file in `Sessions/Scripts`.
enum SessionScripts {
    static let page = script("session_page", PackageResources.session_page_lua, deletes: true)
    static let index = script("session_index", PackageResources.session_index_lua, deletes: true)
    static let acquire = script("session_acquire", PackageResources.session_acquire_lua)
    static let release = script("session_release", PackageResources.session_release_lua)
    static let told = script("session_told", PackageResources.session_told_lua)
    static let create = script("session_create", PackageResources.session_create_lua, grows: true)
    static let read = script("session_read", PackageResources.session_read_lua)
    static let revoke = script("session_revoke", PackageResources.session_revoke_lua)

    /// - `deletes`: whether it has `session_common` in front.
    /// - `grows`: whether Redis may refuse it when its memory is full. To sweep is what helps then.
    private static func script(
        _ name: String,
        _ source: [UInt8],
        deletes: Bool = false,
        grows: Bool = false
    ) -> RedisScript {
        let common = deletes ? String(decoding: PackageResources.session_common_lua, as: UTF8.self) : ""
        let flags = grows ? "" : " flags=allow-oom"
        return RedisScript(name: name, source: "#!lua\(flags)\n\(common)\n\(String(decoding: source, as: UTF8.self))")
    }
}
