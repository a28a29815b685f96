/// How long servers may stay silent before they count as away.
///
/// Nothing for operators: other times of Ebb are built on these. Tests that are not about silence are more patient, since a
/// machine that is busy with seven other tests may stop any process for seconds.
package struct Patience: Sendable {
    /// Redis, for one command: scripts take milliseconds, and a worker that is to stop has a container's grace.
    package var redis = Duration.seconds(4)
    /// PostgreSQL, for one attempt to connect.
    package var connecting = Duration.seconds(10)
    /// PostgreSQL, for a statement that tells another system something: a table that is locked for longer is told later.
    package var telling = Duration.seconds(5)

    package init() {}
}
