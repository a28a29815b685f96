/// One request and its answer, with the redirects on the way.
struct HTTPExchange: Sendable {
    let transport: HTTPTransport
    /// How much of the answer is read; what is left of it is not waited for.
    let longestBody: Int
    /// Codes that are the end, though they may be those of a redirect.
    let accept: [ClosedRange<Int>]

    private static let mostRedirects = 5
    /// What may go to another host than the one that was meant.
    private static let harmless: Set<String> = ["accept", "accept-language", "content-type", "user-agent"]

    /// Why an exchange came to nothing.
    struct Failure: Error, Sendable {
        var reason: String
        /// Whether the same again may do.
        var isTransient: Bool
    }

    /// - `timeout`: for all of it.
    /// - Throws: `Failure`, `CancellationError`.
    func send(
        _ method: String,
        to address: HTTPAddress,
        headers: [(name: String, value: String)],
        body: [UInt8],
        timeout: Duration
    ) async throws -> HTTPTransport.Response {
        let deadline = ContinuousClock.now + timeout
        var request = HTTPTransport.Request(method: method, url: address.text, headers: headers, body: body)
        var address = address
        for _ in 0...Self.mostRedirects {
            let response: HTTPTransport.Response
            do {
                response = try await self.transport.send(
                    request,
                    timeout: ContinuousClock.now.duration(to: deadline),
                    longestBody: self.longestBody,
                    cutsLonger: true
                )
            } catch let error as CancellationError {
                throw error
            } catch {
                let isLate = ContinuousClock.now >= deadline
                let why = isLate ? "within \(DurationText.format(timeout))" : "(\(error))"
                throw Failure(reason: "no answer from \(address.host) \(why)", isTransient: true)
            }
            let code = response.status
            guard [301, 302, 303, 307, 308].contains(code), !self.accept.contains(where: { $0.contains(code) }),
                let location = response.location
            else { return response }
            guard let next = address.following(location) else {
                throw Failure(reason: "\(address.host) redirects to what is no HTTP address", isTransient: false)
            }
            // As browsers do: only 307 and 308 ask for the same request again.
            if code == 303 && request.method != "HEAD" || (code == 301 || code == 302) && request.method == "POST" {
                request.method = "GET"
                request.body = []
                request.headers.removeAll { $0.name.lowercased() == "content-type" }
            }
            if next.origin != address.origin {
                // Headers were meant for the place that was named, and so was what is sent.
                request.headers.removeAll { !Self.harmless.contains($0.name.lowercased()) }
                guard request.body.isEmpty else {
                    throw Failure(
                        reason: "\(address.host) redirects to \(next.host), where the body is not sent",
                        isTransient: false
                    )
                }
            }
            address = next
            request.url = next.text
        }
        throw Failure(reason: "more than \(Self.mostRedirects) redirects", isTransient: false)
    }
}
