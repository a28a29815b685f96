import ArgumentParser
@main struct P: AsyncParsableCommand { mutating func run() async throws {} }
