import RedisClient

/// The queue's Lua units, each with its contract on top of its source file in `Queue/Scripts`.
enum QueueScripts {
    static let setup = script("setup", PackageResources.setup_lua)
    /// Refused while Redis is full, like `append` and `revive`: they are all that enqueues.
    static let createRun = script("create_run", PackageResources.create_run_lua, grows: true)
    static let append = script("append", PackageResources.append_lua, grows: true)
    static let claim = script("claim", PackageResources.claim_lua)
    static let reclaim = script("reclaim", PackageResources.reclaim_lua)
    static let start = script("start", PackageResources.start_lua)
    static let beat = script("beat", PackageResources.beat_lua)
    static let ack = script("ack", PackageResources.ack_lua)
    static let fail = script("fail", PackageResources.fail_lua)
    static let split = script("split", PackageResources.split_lua)
    static let promote = script("promote", PackageResources.promote_lua)
    static let takeStep = script("take_step", PackageResources.take_step_lua)
    static let step = script("step", PackageResources.step_lua)
    static let finish = script("finish", PackageResources.finish_lua)
    static let pause = script("pause", PackageResources.pause_lua)
    static let endRun = script("end_run", PackageResources.end_run_lua)
    static let dropDelayed = script("drop_delayed", PackageResources.drop_delayed_lua)
    static let dropLapsed = script("drop_lapsed", PackageResources.drop_lapsed_lua)
    static let blind = script("blind", PackageResources.blind_lua)
    static let revive = script("revive", PackageResources.revive_lua, grows: true)
    static let discard = script("discard", PackageResources.discard_lua)
    static let reap = script("reap", PackageResources.reap_lua)
    static let leave = script("leave", PackageResources.leave_lua)
    static let event = script("event", PackageResources.event_lua)
    static let hook = script("hook", PackageResources.hook_lua)

    /// - `grows`: whether Redis may refuse it when its memory is full. Everything else must go on then, or a full
    ///   queue could not drain.
    private static func script(_ name: String, _ source: [UInt8], grows: Bool = false) -> RedisScript {
        let common = String(decoding: PackageResources.common_lua, as: UTF8.self)
        let flags = grows ? "" : " flags=allow-oom"
        return RedisScript(name: name, source: "#!lua\(flags)\n\(common)\n\(String(decoding: source, as: UTF8.self))")
    }
}
