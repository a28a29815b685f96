package import Foundation

/// When the runs of one target of one schedule are due.
///
/// A *slot* is a moment that the cron expression names; a run is *due* at its slot plus jitter. Both follow from the definition
/// alone, so that replicas agree on them without talking to each other.
package struct ScheduleTiming: Sendable, Hashable {
    /// Whose slots these are; part of what jitter is made from, so that targets do not begin together.
    package var schedule: String
    package var target: String
    package var cron: CronExpression
    /// In which `cron` is read.
    package var zone: TimeZone
    package var jitter: Duration
    /// How long ago a missed slot may have been due to be run all the same.
    package var catchUp: Duration
    /// After which a run ends, failed; nil for no limit.
    package var timeout: Duration?

    package init(
        schedule: String,
        target: String,
        cron: CronExpression,
        zone: TimeZone,
        jitter: Duration = .zero,
        catchUp: Duration = Self.defaultCatchUp,
        timeout: Duration? = nil
    ) {
        self.schedule = schedule
        self.target = target
        self.cron = cron
        self.zone = cron.zone ?? zone
        self.jitter = jitter
        self.catchUp = catchUp
        self.timeout = timeout
    }

    /// Covers a restart of everything, and no more: what was missed for longer is the operator's to decide.
    package static let defaultCatchUp = Duration.seconds(300)
    /// A run cannot begin at the very moment of its slot; up to here it is not late.
    private static let punctual = Duration.seconds(30)

    /// What decides the slots, for comparing with what other replicas have.
    package var definition: String { "\(self.cron.text) in \(self.zone.name)" }

    /// The slot to be run now.
    package enum Due: Sendable, Equatable {
        case slot(Date)
        /// It was due longer ago than catch-up allows.
        case missed(Date)
    }

    /// The newest slot that is due, if it is after `floor`; older ones it stands for.
    package func due(at now: Date, after floor: Date) -> Due? {
        // Jitter ends before the next slot, so that it is this one or the one before.
        guard let newest = self.cron.previous(atOrBefore: now, in: self.zone), newest > floor else { return nil }
        var slot = newest
        if self.moment(of: newest) > now {
            let before = self.cron.previous(atOrBefore: newest.addingTimeInterval(-1), in: self.zone)
            guard let before, before > floor else { return nil }
            slot = before
        }
        let lateness = now.timeIntervalSince(self.moment(of: slot))
        return lateness > max(self.catchUp, Self.punctual).timeInterval ? .missed(slot) : .slot(slot)
    }

    /// The first slot after `floor` that is not due yet, and when it will be.
    package func next(at now: Date, after floor: Date) -> (slot: Date, due: Date)? {
        if let newest = self.cron.previous(atOrBefore: now, in: self.zone), newest > floor,
            self.moment(of: newest) > now
        {
            return (newest, self.moment(of: newest))
        }
        return self.cron.next(after: now, in: self.zone).map { ($0, self.moment(of: $0)) }
    }

    /// When the run of a slot is due.
    package func moment(of slot: Date) -> Date {
        let most = self.jitter.timeInterval
        guard most > 0, let following = self.cron.next(after: slot, in: self.zone) else { return slot }
        let span = min(most, following.timeIntervalSince(slot) - 1)
        return slot.addingTimeInterval((span * self.fraction(of: slot) * 1_000).rounded() / 1_000)
    }

    /// A number between 0 and 1 that is the same wherever it is asked for: SplitMix64 over FNV-1a of names and slot.
    private func fraction(of slot: Date) -> Double {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(self.schedule)/\(self.target)/\(Int(slot.timeIntervalSince1970))".utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return Double((hash ^ hash >> 31) >> 11) / Double(1 << 53)
    }
}

extension Duration {
    /// In seconds, as Foundation counts them.
    package var timeInterval: TimeInterval {
        TimeInterval(self.components.seconds) + TimeInterval(self.components.attoseconds) / 1e18
    }
}
