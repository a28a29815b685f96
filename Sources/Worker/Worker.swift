import ArgumentParser
@main struct W: AsyncParsableCommand { mutating func run() async throws {} }
