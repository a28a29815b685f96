/// What has to be true of every state that was found equal to what Redis holds.
extension QueueModel {
    /// The keys that a namespace in this state has.
    var keys: Set<String> {
        var keys = Set(self.streams.indices.map(self.stream))
        for run in self.runs.keys { keys.insert("\(self.prefix)run:\(run)") }
        for run in self.parked.keys { keys.insert("\(self.prefix)parked:\(run)") }
        for run in self.blind.keys { keys.insert("\(self.prefix)blind:\(run)") }
        for run in self.starts.keys { keys.insert("\(self.prefix)starts:\(run)") }
        let others = [
            "active": self.active.isEmpty, "runs": self.known.isEmpty, "workers": self.workers.isEmpty,
            "delayed": self.delayed.isEmpty, "delayed:entries": self.delayed.isEmpty, "dead": self.letters.isEmpty,
            "dead:letters": self.letters.isEmpty,
        ]
        for (name, isEmpty) in others where !isEmpty { keys.insert(self.prefix + name) }
        return keys
    }
}

extension ModelWalk {
    /// Every batch is somewhere, in one place only, and is counted there.
    func checkInvariants() throws(Disagreement) {
        for (name, run) in self.model.runs {
            try Self.same("sum of \(name)", run.open + run[.done] + run[.dead] + run[.cancelled], run[.total])
            try Self.same("rows of \(name)", run[.rows], run[.done] * HeldLease.rows)
            if run.isOver { continue }
            func isOf(_ batch: QueueModel.Batch) -> Bool { batch.run == name && batch.life == run.life }
            let queued = self.model.streams.flatMap(\.waiting).count {
                if case .batch(let batch) = $0 { isOf(batch) } else { false }
            }
            let leased = self.model.streams.flatMap(\.pending).count { isOf($0.batch) }
            let delayed = self.model.delayed.values.count { isOf($0.waiting.batch) }
            try Self.same("queued of \(name)", run[.queued], queued)
            try Self.same("leased of \(name)", run[.leased], leased)
            try Self.same("delayed of \(name)", run[.delayed], delayed)
            try Self.same("parked of \(name)", run[.parked], self.model.parked[name]?.count ?? 0)
        }
        try Self.same("settled twice", self.model.settledTwice, [])
        if self.model.letters.count > Self.mostLetters {
            throw Disagreement("\(self.model.letters.count) dead letters")
        }
    }

    static let mostLetters = 30
}
