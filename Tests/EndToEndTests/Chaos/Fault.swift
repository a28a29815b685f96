/// One thing that goes wrong.
enum Fault: Sendable {
    enum Server: String, Sendable {
        case postgres
        case redis
    }

    /// SIGKILL for the worker of this number, or for the next one that is alive.
    case killWorker(Int)
    /// SIGKILL for whoever plans or verifies now.
    case killStepOwner
    /// SIGKILL for the producer that waits for the run.
    case killProducer
    /// SIGSTOP, longer than the lease, and SIGCONT: a zombie that comes back.
    case freezeWorker(Int, for: Duration)
    case restartPostgres(ChaosServers.PostgresEnd)
    case restartRedis(kill: Bool)
    case network(Server, Proxy.Fault)
    /// A session that holds so many rows; `near`: where in the table's keys, from 0 to 1.
    case lockRows(Int, near: Double, for: Duration)
    /// `producer pause` and, later, `producer resume`.
    case pause(for: Duration)

    /// What it is counted as.
    var kind: String {
        switch self {
        case .killWorker: "kill worker"
        case .killStepOwner: "kill planner"
        case .killProducer: "kill producer"
        case .freezeWorker: "freeze"
        case .restartPostgres(.immediate): "crash postgres"
        case .restartPostgres(.fast): "restart postgres"
        case .restartRedis(kill: true): "kill redis"
        case .restartRedis(kill: false): "restart redis"
        case .network(let server, let fault):
            switch fault {
            case .cut: "\(server) cut"
            case .blackHole: "\(server) black hole"
            case .delay: "\(server) slow"
            case .refuse: "\(server) refused"
            case .cutAfter: "\(server) cut in a command"
            }
        case .lockRows: "lock"
        case .pause: "pause"
        }
    }
}

extension Fault: CustomStringConvertible {
    /// With all that was chosen about it.
    var description: String {
        switch self {
        case .killWorker(let number): "\(self.kind) \(number)"
        case .freezeWorker(let number, let time): "\(self.kind) worker \(number) for \(time)"
        case .network(let server, let fault): "\(server) \(fault)"
        case .lockRows(let count, let place, let time): "\(self.kind) \(count) rows near \(place) for \(time)"
        case .pause(let time): "\(self.kind) for \(time)"
        default: self.kind
        }
    }
}
