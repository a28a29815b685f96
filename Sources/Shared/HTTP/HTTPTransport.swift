import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Carries HTTP requests; the only user of AsyncHTTPClient.
package final class HTTPTransport: Sendable {
    /// The process's own; it lives as long as the process.
    package static let shared = HTTPTransport()

    private let client: HTTPClient

    /// - `hosts`: addresses of host names that the resolver does not know.
    package init(hosts: [String: String] = [:]) {
        // A redirect would arrive with a signature, or a secret, for another place.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(10)
        configuration.httpVersion = .http1Only
        // Tries are counted elsewhere.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.dnsOverride = hosts
        self.client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Closes its connections.
    package func close() async throws { try await self.client.shutdown() }

    package struct Request: Sendable {
        package var method: String
        package var url: String
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]

        package init(method: String, url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
            self.method = method
            self.url = url
            self.headers = headers
            self.body = body
        }
    }

    package struct Response: Sendable {
        package var status: Int
        package var date: String?
        package var location: String?
        package var body: [UInt8]
    }

    /// A listing of 1,000 keys of 1,024 bytes, each byte encoded as three, is below four megabytes.
    package static let longestBody = 16 * 1_024 * 1_024

    /// One exchange.
    ///
    /// - `longestBody`: of the answer.
    /// - `cutsLonger`: whether what is longer is cut off, and no error.
    /// - Throws: `CancellationError`, or what AsyncHTTPClient and NIO throw when the exchange fails or takes too long.
    package func send(
        _ request: Request,
        timeout: Duration,
        longestBody: Int = HTTPTransport.longestBody,
        cutsLonger: Bool = false
    ) async throws -> Response {
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = HTTPMethod(rawValue: request.method)
        for header in request.headers { outgoing.headers.add(name: header.name, value: header.value) }
        if !request.body.isEmpty { outgoing.body = .bytes(ByteBuffer(bytes: request.body)) }
        let deadline = NIODeadline.now() + .nanoseconds(timeout.wholeMicroseconds * 1_000)
        do {
            let response = try await self.client.execute(outgoing, deadline: deadline)
            var body: [UInt8] = []
            if cutsLonger {
                for try await part in response.body {
                    body += part.readableBytesView.prefix(longestBody - body.count)
                    // Leaving the loop closes the connection.
                    if body.count == longestBody { break }
                }
            } else {
                body = Array(try await response.body.collect(upTo: longestBody).readableBytesView)
            }
            return Response(
                status: Int(response.status.code),
                date: response.headers.first(name: "date"),
                location: response.headers.first(name: "location"),
                body: body
            )
        } catch {
            // The client has its own word for it.
            if Task.isCancelled { throw CancellationError() }
            throw error
        }
    }
}
