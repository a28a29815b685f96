import Shared
import Testing

@Suite struct DurationTextTests {
    struct Good: Sendable {
        let text: String
        let duration: Duration
    }

    @Test(arguments: [
        Good(text: "90s", duration: .seconds(90)),
        Good(text: "10m", duration: .seconds(600)),
        Good(text: "24h", duration: .seconds(86_400)),
        Good(text: "1h30m", duration: .seconds(5_400)),
        Good(text: "1.5h", duration: .seconds(5_400)),
        Good(text: ".5h", duration: .seconds(1_800)),
        Good(text: "5.s", duration: .seconds(5)),
        Good(text: "250ms", duration: .milliseconds(250)),
        Good(text: "1us", duration: .microseconds(1)),
        Good(text: "1\u{B5}s", duration: .microseconds(1)),
        Good(text: "1\u{3BC}s", duration: .microseconds(1)),
        Good(text: "3ns", duration: .nanoseconds(3)),
        Good(text: "7d", duration: .seconds(7 * 86_400)),
        Good(text: "1d12h", duration: .seconds(36 * 3_600)),
        Good(text: "+5s", duration: .seconds(5)),
        Good(text: "-1m30s", duration: .seconds(-90)),
        Good(text: "0", duration: .zero),
        Good(text: "-0", duration: .zero),
        Good(text: "0s", duration: .zero),
        Good(text: "00000000000000000000000000001s", duration: .seconds(1)),
        Good(text: "0.3333333333333333333333333333s", duration: .nanoseconds(333_333_333)),
        Good(text: "0.0000000009s", duration: .zero),
    ])
    func `a duration is read`(_ good: Good) throws {
        #expect(try DurationText.parse(good.text) == good.duration)
    }

    @Test(arguments: [
        "", " ", "ten", "10", "1h30", "s", ".s", "-", "+", "1 s", " 1s", "1s ", "1w", "1H", "1e3s", "--1s", "1h-5m",
        "1..5s",
        "\u{661}s",
    ])
    func `what is no duration is refused with what is accepted`(_ text: String) {
        let rejected = RejectedValue(
            text,
            "is not a duration",
            accepted: "a number and a unit (ns, us, ms, s, m, h, d), or several, such as 90s, 1h30m or 7d"
        )
        #expect(throws: rejected) { try DurationText.parse(text) }
    }

    @Test(arguments: ["106752d", "99999999999999999999999999999999999d", "100000d100000d", "-106752d"])
    func `a duration beyond Go's range is refused`(_ text: String) {
        let rejected = RejectedValue(text, "is too long", accepted: "a duration of at most 106751d")
        #expect(throws: rejected) { try DurationText.parse(text) }
    }

    @Test(arguments: ["0", "0s", "-1h", "0.0000000001s"])
    func `an age must be greater than zero`(_ text: String) {
        let rejected = RejectedValue(
            text,
            "is not greater than zero",
            accepted: "a duration greater than zero, such as 90s, 1h30m or 7d"
        )
        #expect(throws: rejected) { try DurationText.parsePositive(text) }
    }

    @Test(arguments: [
        Good(text: "0s", duration: .zero),
        Good(text: "15s", duration: .seconds(15)),
        Good(text: "1m", duration: .seconds(60)),
        Good(text: "1h30m", duration: .seconds(5_400)),
        Good(text: "1h0.5s", duration: .seconds(3_600) + .milliseconds(500)),
        Good(text: "24h", duration: .seconds(86_400)),
        Good(text: "36h", duration: .seconds(36 * 3_600)),
        Good(text: "2d", duration: .seconds(2 * 86_400)),
        Good(text: "90d", duration: .seconds(90 * 86_400)),
        Good(text: "49h", duration: .seconds(49 * 3_600)),
        Good(text: "250ms", duration: .milliseconds(250)),
        Good(text: "1.05ms", duration: .microseconds(1_050)),
        Good(text: "1us", duration: .microseconds(1)),
        Good(text: "1.5us", duration: .nanoseconds(1_500)),
        Good(text: "7ns", duration: .nanoseconds(7)),
        Good(text: "1.000000001s", duration: .nanoseconds(1_000_000_001)),
        Good(text: "-1m30s", duration: .seconds(-90)),
        Good(text: "-250ms", duration: .milliseconds(-250)),
    ])
    func `a duration is written as short as it reads well, and reads back`(_ good: Good) throws {
        #expect(DurationText.format(good.duration) == good.text)
        #expect(try DurationText.parse(good.text) == good.duration)
    }
}
