/// An HTTP hook at work: tries, and pauses between them.
struct HTTPHook: Sendable {
    let hook: Hook.HTTP
    let address: HTTPAddress
    let headers: [(name: String, value: String)]
    let body: [UInt8]
    let transport: HTTPTransport

    private static let longestPause = Duration.seconds(60)

    /// - Returns: the last try, and how many there were.
    func run() async -> (HookAttempt, Int) {
        var tries = 0
        while true {
            tries += 1
            let attempt = await self.attempt()
            guard let failure = attempt.failure, failure.isTransient, tries <= self.hook.retries else {
                return (attempt, tries)
            }
            let pause = min(Self.longestPause, self.hook.backoff * Double(1 << min(tries - 1, 20)))
            do { try await Task.sleep(for: pause * Double.random(in: 0.5...1)) } catch { return (attempt, tries) }
        }
    }

    private func attempt() async -> HookAttempt {
        let exchange = HTTPExchange(
            transport: self.transport,
            longestBody: self.hook.output,
            accept: self.hook.accept
        )
        var attempt = HookAttempt()
        do {
            let response = try await exchange.send(
                self.hook.method,
                to: self.address,
                headers: self.headers,
                body: self.body,
                timeout: self.hook.timeout
            )
            attempt.code = response.status
            attempt.output = response.body
            attempt.bytes = response.body.count
            if !self.hook.accept.contains(where: { $0.contains(response.status) }) {
                attempt.failure = .init(
                    reason: "\(self.address.host) answered \(response.status)",
                    isTransient: response.status >= 500 || [408, 425, 429].contains(response.status)
                )
            }
        } catch let failure as HTTPExchange.Failure {
            attempt.failure = failure
        } catch {
            attempt.failure = .init(reason: "it was stopped", isTransient: false)
        }
        return attempt
    }
}
