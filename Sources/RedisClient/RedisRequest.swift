/// One element of a pipeline.
///
/// Commands whose replies do not come one for one (`SUBSCRIBE`, `MONITOR`, `CLIENT REPLY`) must not be sent.
package enum RedisRequest: Sendable {
    case command(RedisCommand)

    /// Runs a script through `EVALSHA`; it is loaded first where the connection has not done so.
    case script(RedisScript, keys: [String], arguments: [String])

    var script: RedisScript? {
        switch self {
        case .command: nil
        case .script(let script, keys: _, arguments: _): script
        }
    }
}
