/// What a target's knobs are set to, frozen into a run when it is created.
package struct KnobValues: Sendable, Hashable, Codable {
    /// The age in microseconds, which is PostgreSQL's resolution; nil when the rule has none.
    package var maxAgeMicroseconds: Int64?
    /// How many rows `keep_newest` keeps; nil when the rule has none.
    package var keep: Int?

    /// The age; what is finer than a microsecond is rounded up, so that no row expires early.
    package var maxAge: Duration? {
        get { self.maxAgeMicroseconds.map { .microseconds($0) } }
        set {
            self.maxAgeMicroseconds = newValue.map { duration in
                let (seconds, attoseconds) = duration.components
                return seconds * 1_000_000 + (attoseconds + 999_999_999_999) / 1_000_000_000_000
            }
        }
    }

    package init(maxAge: Duration? = nil, keep: Int? = nil) {
        self.keep = keep
        self.maxAge = maxAge
    }

    /// Spelled like the columns and fields that hold them.
    private enum CodingKeys: String, CodingKey {
        case maxAgeMicroseconds = "max_age_microseconds"
        case keep
    }
}

/// Whether a target can run.
package enum TargetSwitch: Sendable, Hashable {
    /// All knobs are set.
    case on(KnobValues)
    /// A knob is unset; the reason names it: `METRICS_ENTRIES_MAX_AGE is not set`.
    case off(reason: String)
}

extension Target {
    /// Looks the knobs up.
    ///
    /// An unset variable switches the target off, as it does in Distr; a variable that is set to something unusable is an
    /// error, even when another is unset. `maxAge` and `keep` are `--max-age` and `--keep` of the command line and take the
    /// place of the rule's own; one that the rule has no use for is an error.
    ///
    /// - `keepNothing`: the targets that may keep 0 rows, from the configuration. Asked for once, a 0 is taken for a mistake.
    package func resolveKnobs(
        environment: Environment,
        maxAge: Duration? = nil,
        keep: Int? = nil,
        keepNothing: [String] = []
    ) throws(ConfigurationError) -> TargetSwitch {
        try self.checkOverrides(maxAge: maxAge, keep: keep)
        var values = KnobValues()
        var unset: [String] = []
        if let knob = self.rule.maxAge?.age {
            values.maxAge = maxAge
            if maxAge == nil {
                values.maxAge = try knob.age(of: self.name, in: environment, unset: &unset)
            }
        }
        if let knob = self.rule.keepNewest?.count {
            values.keep = keep
            if keep == nil {
                values.keep = try knob.value(of: self.name, in: environment, unset: &unset, KnobText.count)
            }
        }
        if values.keep == 0, !keepNothing.contains(self.name) {
            throw ConfigurationError(
                "target \(self.name): keeping 0 rows would delete everything, the newest rows too; accepted: a number of at "
                    + "least 1, or 0 when the setting keep_nothing (EBB_KEEP_NOTHING) names \(self.name) as well"
            )
        }
        guard unset.isEmpty else {
            return .off(reason: "\(unset.joined(separator: " and ")) \(unset.count == 1 ? "is" : "are") not set")
        }
        return .on(values)
    }

    private func checkOverrides(maxAge: Duration?, keep: Int?) throws(ConfigurationError) {
        if let maxAge {
            guard self.rule.maxAge != nil else {
                throw ConfigurationError("--max-age: the target \(self.name) has no max_age in its rule; leave it out")
            }
            guard maxAge > .zero else {
                throw ConfigurationError(
                    name: "--max-age",
                    rejected: RejectedValue(
                        DurationText.format(maxAge),
                        "is not greater than zero",
                        accepted: DurationText.acceptedPositive
                    )
                )
            }
        }
        if let keep {
            guard self.rule.keepNewest != nil else {
                throw ConfigurationError("--keep: the target \(self.name) has no keep_newest in its rule; leave it out")
            }
            do {
                _ = try KnobText.count("\(keep)")
            } catch {
                throw ConfigurationError(name: "--keep", rejected: error)
            }
        }
    }
}

extension Knob {
    /// Its value as an age; see ``value(of:in:unset:_:)``.
    func age(
        of target: String,
        in environment: Environment,
        unset: inout [String]
    ) throws(ConfigurationError) -> Duration? {
        let unit = self.unit
        return try self.value(of: target, in: environment, unset: &unset) { (text) throws(RejectedValue) in
            guard let unit else { return try KnobText.age(text) }
            return try KnobText.age(text, unit: unit)
        }
    }

    /// Its value; a variable that is not there is added to `unset`.
    ///
    /// - `target`: whose knob it is, for errors.
    func value<Value>(
        of target: String,
        in environment: Environment,
        unset: inout [String],
        _ parse: (String) throws(RejectedValue) -> Value
    ) throws(ConfigurationError) -> Value? {
        let name: String
        let text: String
        switch self {
        case .literal(let literal):
            name = "targets.\(target)"
            text = literal
        case .variable(let variable, let otherwise, _):
            guard let value = try environment.value(variable) ?? otherwise else {
                if !unset.contains(variable) { unset.append(variable) }
                return nil
            }
            name = variable
            text = value
        }
        do {
            return try parse(text)
        } catch {
            throw ConfigurationError(name: name, rejected: error)
        }
    }
}
