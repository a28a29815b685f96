import RedisClient

@testable import Shared

/// What happens to the queue from outside, and time that passes for one thing or another.
extension ModelWalk {
    /// Any move, in proportions that keep some runs, leases and delayed batches there at any time.
    mutating func any() -> ModelMove {
        if self.model.active.count < 4 { return self.create() }
        // Now and then nobody claims for a while, so that runs end, and live again, while batches of theirs are queued.
        if self.done / 250 % 5 == 4, self.chance(40) { return self.lull() }
        switch self.number(self.done / 250 % 5 == 4 ? 260...999 : 0...999) {
        case ..<190: return self.claim()
        case ..<260: return self.reclaim()
        case ..<450: return self.ack()
        case ..<600: return self.giveBack()
        case ..<630: return self.start()
        case ..<670: return self.beat()
        case ..<710: return self.promote()
        case ..<760: return self.makeDue()
        case ..<840: return self.append()
        case ..<890: return self.takeStep()
        case ..<920: return self.onStep()
        case ..<940: return self.pauseOrResume()
        case ..<943: return self.end()
        case ..<948: return self.blind()
        case ..<954: return self.dropLapsed()
        case ..<958: return self.revive()
        case ..<959: return self.discard()
        case ..<961: return self.reap()
        case ..<963: return self.leave()
        case ..<964: return self.create()
        case ..<970: return self.garbage()
        case ..<971: return self.loseGroup()
        default: return self.letTimePass()
        }
    }

    private mutating func lull() -> ModelMove {
        switch self.number(0...9) {
        case 0...2: self.append()
        case 3...4: self.takeStep()
        case 5...6: self.onStep()
        case 7: self.end()
        default: self.revive()
        }
    }

    /// An entry that is no batch, or one of a run that nobody knows.
    private mutating func garbage() -> ModelMove {
        let run = "r\(self.lastRun)"
        let entry = [
            ["x", "y"], ["r", run], ["r", run, "b", "1.1", "a", "many", "u", "1", "f", "", "v", "[]"],
            ["r", run, "b", "1.1", "a", "0", "u", "1", "f", ""],
            ["r", "ghost", "b", "1.1", "a", "0", "u", "1", "f", "", "v", "[]"],
        ][self.number(0...4)]
        let stream = self.number(0...2)
        let content =
            entry[1] == "ghost"
            ? QueueModel.Content.batch(QueueModel.Batch(run: "ghost", name: "1.1", units: 1, range: "[]", life: 0))
            : .garbage(entry)
        return ModelMove(["XADD", self.model.stream(stream), "*"] + entry) { model in
            model.streams[stream].waiting.append(content)
        }
    }

    /// The group of a stream vanishes, and with it all leases there; whoever comes then makes it anew.
    private mutating func loseGroup() -> ModelMove {
        let lost = self.number(0...2)
        let key = self.model.stream(lost)
        return ModelMove(
            [
                .command(["XGROUP", "DESTROY", key, "workers"]),
                .script(QueueScripts.ack, keys: [self.model.prefix], arguments: ["a", key, "1-1", "1", "r", "b"]),
                self.setup().requests[0],
            ],
            unit: 2
        ) { model, replies in
            guard case .error(let error) = replies[1], error.prefix == "NOGROUP" else {
                throw Disagreement("without its group, a stream answers \(replies[1].short)")
            }
            return model.lose(groupsOf: [lost])
        }
    }

    func setup() -> ModelMove {
        ModelMove(QueueScripts.setup, keys: [self.model.prefix], ["1000"]) { _, reply in
            .integer(reply.int == 3 ? 3 : 0)
        }
    }

    private mutating func letTimePass() -> ModelMove {
        let prefix = self.model.prefix
        switch self.number(0...9) {
        case 0...5:
            guard let (lease, _) = self.lease() else { return self.claim() }
            guard let position = self.model.owned(lease, by: lease.consumer) else { return self.reclaim() }
            let pending = self.model.streams[lease.stream].pending[position]
            return self.makeOld(pending, lease)
        case 6:
            let consumer = self.consumer()
            return ModelMove(["ZADD", prefix + "workers", "XX", "1", consumer]) { model in
                if model.workers[consumer] != nil { model.workers[consumer] = false }
            }
        case 7:
            guard let letter = self.model.letters.keys.sorted().randomElement(using: &self.random) else {
                return self.claim()
            }
            return ModelMove(["ZADD", prefix + "dead", "XX", "1", letter]) { $0.letters[letter]?.score = 1 }
        default:
            let names = self.model.runs.keys.sorted()
            guard let name = names.randomElement(using: &self.random), let run = self.model.runs[name] else {
                return self.claim()
            }
            return self.letTimePass(for: name, run)
        }
    }

    /// A lease runs out.
    ///
    /// Only as a script can it be done to its present holder alone.
    func makeOld(_ pending: QueueModel.Pending, _ lease: HeldLease) -> ModelMove {
        let source = """
            local p = redis.call('XPENDING', KEYS[1], 'workers', ARGV[1], ARGV[1], 1)
            if #p == 1 and p[1][2] == ARGV[2] then
              redis.call('XCLAIM', KEYS[1], 'workers', ARGV[2], 0, ARGV[1], 'IDLE', 3600000, 'JUSTID')
            end
            return 0
            """
        return ModelMove(
            RedisScript(name: "make old", source: source),
            keys: [self.model.stream(lease.stream)],
            [pending.id.text, pending.consumer]
        ) { model, _ in
            let pending = model.streams[lease.stream].pending
            if let position = pending.firstIndex(where: { $0.id == lease.id && $0.consumer == lease.consumer }) {
                model.streams[lease.stream].pending[position].isOld = true
            }
            return .integer(0)
        }
    }

    /// A run that is over is forgotten after its retention; the step of another is free again, or its time is over.
    private mutating func letTimePass(for name: String, _ run: Run) -> ModelMove {
        let key = self.model.prefix + "run:" + name
        let isLate = self.chance(2)
        let source = """
            local state = redis.call('HGET', KEYS[1], 'state')
            if not state then return 0 end
            if state == 'finished' or state == 'failed' or state == 'cancelled' then return redis.call('DEL', KEYS[1]) end
            redis.call('HSET', KEYS[1], unpack(ARGV))
            return 2
            """
        let fields = isLate ? ["deadline_ms", "1"] : ["step_until", "0"]
        return ModelMove(RedisScript(name: "let time pass", source: source), keys: [key], fields) { model, _ in
            guard let run = model.runs[name] else { return .integer(0) }
            if run.isOver {
                model.runs[name] = nil
                return .integer(1)
            }
            if isLate { model.runs[name]?.fields["deadline_ms"] = "1" } else { model.runs[name]?.isTaken = false }
            return .integer(2)
        }
    }
}
