import RedisClient

/// What is handed out, kept and settled.
extension QueueModel {
    mutating func move(_ run: String, _ from: Run.Counter?, _ to: Run.Counter?, _ number: Int = 1) {
        if let from { self.runs[run]?.counts[from, default: 0] -= number }
        if let to { self.runs[run]?.counts[to, default: 0] += number }
    }

    /// Whether a batch still counts: its run is known, not over, and still in the life that it was queued in.
    func counts(_ batch: Batch) -> Bool {
        guard let run = self.runs[batch.run] else { return false }
        return !run.isOver && run.life == batch.life
    }

    mutating func forgetStarts(_ batch: Batch) {
        self.starts[batch.run]?[batch.name] = nil
        if self.starts[batch.run]?.isEmpty == true { self.starts[batch.run] = nil }
    }

    mutating func delay(_ batch: Batch, _ stream: Int, pause: Int) {
        self.delayed[batch.member] = Delayed(waiting: Waiting(stream: stream, batch: batch), pause: pause)
    }

    /// Whether a batch is handed to its new consumer; otherwise it is out of the stream.
    private mutating func deliver(_ batch: Batch, _ stream: Int, to consumer: String, from: Run.Counter) -> Bool {
        guard self.counts(batch), let run = self.runs[batch.run] else {
            self.forgetStarts(batch)
            self.note(self.runs[batch.run]?.isOver == false ? "dropped: of a former life" : "dropped: of no run")
            return false
        }
        if run.isEnding {
            self.note("cancelled where it turned up")
            self.move(batch.run, from, .cancelled)
            self.forgetStarts(batch)
        } else if run.state == "paused" {
            self.parked[batch.run, default: []].append(Waiting(stream: stream, batch: batch))
            self.note("parked")
            self.move(batch.run, from, .parked)
        } else if self.blind[batch.run]?.contains(consumer) == true {
            self.delay(batch, stream, pause: 1_000)
            self.note("delayed for another worker")
            self.move(batch.run, from, .delayed)
            self.pauseIfBlind(batch.run)
        } else {
            self.move(batch.run, from, .leased)
            self.runs[batch.run]?.hasStarted = true
            return true
        }
        return false
    }

    private mutating func handed(_ pending: Pending, _ stream: Int) -> RESPValue {
        let batch = pending.batch
        if self.leases.count > 96 { self.leases.removeFirst(48) }
        self.leases.append(HeldLease(pending, in: stream))
        let starts = pending.count > 1 ? self.starts[batch.run]?[batch.name] ?? 0 : 0
        return .array([
            .string(self.stream(stream)), .string(pending.id.text), .integer(pending.count), .string(batch.run),
            .string(batch.name), .string(String(batch.attempts)), .string(batch.range), .string(String(batch.units)),
            .string(String(starts)),
        ])
    }

    /// - `ids`: of what the server has handed out, in its order.
    mutating func claim(_ consumer: String, _ wanted: Int, from order: [Int], ids: [String]) -> RESPValue {
        var out: [RESPValue] = []
        var looked = 0
        for stream in order {
            if out.count < wanted, looked < 100 { self.streams[stream].asked.insert(consumer) }
            while out.count < wanted, looked < 100, !self.streams[stream].waiting.isEmpty {
                self.streams[stream].consumers.insert(consumer)
                let entries = self.streams[stream].waiting.prefix(wanted - out.count)
                self.streams[stream].waiting.removeFirst(entries.count)
                for entry in entries {
                    looked += 1
                    let id = EntryID(out.count < ids.count ? ids[out.count] : "none")
                    switch entry {
                    case .garbage: out.append(.array([.string(self.stream(stream)), .string(id.text)]))
                    case .batch(let batch):
                        guard self.deliver(batch, stream, to: consumer, from: .queued) else { continue }
                        let pending = Pending(id: id, batch: batch, consumer: consumer, count: 1)
                        self.streams[stream].pending.append(pending)
                        out.append(self.handed(pending, stream))
                    }
                }
            }
        }
        return .array(out)
    }

    /// - `isLong`: whether the lease is longer than all but the old ones have lasted.
    mutating func reclaim(
        _ stream: Int,
        _ consumer: String,
        isLong: Bool,
        cursor: EntryID,
        _ wanted: Int
    ) -> RESPValue {
        let pending = self.streams[stream].pending
        let start = pending.firstIndex { $0.id >= cursor } ?? pending.count
        var position = start
        var taken: [Pending] = []
        self.streams[stream].asked.insert(consumer)
        // XAUTOCLAIM looks at ten for each that it may take.
        while position < pending.count, position - start < wanted * 10, taken.count < wanted {
            if !isLong || pending[position].isOld {
                var entry = pending[position]
                entry.consumer = consumer
                entry.count += 1
                entry.isOld = false
                taken.append(entry)
                self.streams[stream].pending[position] = entry
            }
            position += 1
        }
        var out: [RESPValue] = []
        for entry in taken {
            self.streams[stream].consumers.insert(consumer)
            self.move(entry.batch.run, nil, .redelivered)
            if self.deliver(entry.batch, stream, to: consumer, from: .leased) {
                out.append(self.handed(entry, stream))
            } else {
                self.streams[stream].pending.removeAll { $0.id == entry.id }
            }
        }
        return .array([.string(position < pending.count ? pending[position].id.text : "0-0"), .array(out)])
    }

    /// Where in the pending entries a lease is that its holder still has.
    func owned(_ lease: HeldLease, by consumer: String) -> Int? {
        self.streams[lease.stream].pending.firstIndex {
            $0.count == lease.token && $0.id == lease.id && $0.consumer == consumer
        }
    }

    mutating func start(_ lease: HeldLease, by consumer: String) -> RESPValue {
        guard self.owned(lease, by: consumer) != nil else { return .integer(-1) }
        self.starts[lease.run, default: [:]][lease.batch, default: 0] += 1
        return .integer(self.starts[lease.run]?[lease.batch] ?? 0)
    }

    mutating func beat(_ leases: [HeldLease], by consumer: String) -> RESPValue {
        self.workers[consumer] = true
        return .array(
            leases.map { lease in
                guard let position = self.owned(lease, by: consumer) else { return .integer(0) }
                self.streams[lease.stream].pending[position].isOld = false
                return .integer(1)
            }
        )
    }

    mutating func ack(_ leases: [HeldLease], by consumer: String) -> RESPValue {
        .array(
            leases.map { lease in
                guard let position = self.owned(lease, by: consumer) else { return .integer(0) }
                let batch = self.streams[lease.stream].pending.remove(at: position).batch
                self.forgetStarts(batch)
                guard self.counts(batch) else {
                    self.note("settled, counted before")
                    return .integer(0)
                }
                if !self.settled.insert(batch.member).inserted { self.settledTwice.append(batch.member) }
                self.move(batch.run, .leased, .done)
                if batch.isChild { self.move(batch.run, nil, .doneChildren) }
                self.move(batch.run, nil, .rows, HeldLease.rows)
                self.move(batch.run, nil, .cascaded, HeldLease.cascaded)
                self.move(batch.run, nil, .bytes, HeldLease.bytes)
                self.move(batch.run, nil, .units, lease.units)
                self.move(batch.run, nil, .microseconds, HeldLease.microseconds)
                return .integer(1)
            }
        )
    }
}

/// A lease as its holder remembers it, however long ago.
struct HeldLease {
    var stream: Int
    var id: EntryID
    var token: Int
    var consumer: String
    var run: String
    var batch: String
    var units: Int

    init(_ pending: QueueModel.Pending, in stream: Int) {
        self.stream = stream
        self.id = pending.id
        self.token = pending.count
        self.consumer = pending.consumer
        self.run = pending.batch.run
        self.batch = pending.batch.name
        self.units = pending.batch.units
    }

    // What each batch has removed, as the test says it.
    static let rows = 10
    static let cascaded = 3
    static let bytes = 5
    static let microseconds = 7
}
