package import Foundation

extension Environment {
    /// The zone that times without one are read in: `TZ`, or else the machine's.
    ///
    /// - Throws: `ConfigurationError` for a `TZ` that is no zone's name, which would otherwise mean UTC without a word.
    package func timeZone() throws(ConfigurationError) -> TimeZone {
        guard let name = try self.value("TZ") else { return .current }
        // POSIX: an empty one is UTC, and a colon may come first.
        guard !name.isEmpty else { return .gmt }
        let identifier = name.hasPrefix(":") ? String(name.dropFirst()) : name
        do {
            return try CronExpression.zone(named: identifier)
        } catch {
            throw ConfigurationError(name: "TZ", rejected: error)
        }
    }
}
