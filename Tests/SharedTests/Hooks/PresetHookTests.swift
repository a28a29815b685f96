import Testing

@testable import Shared

@Suite struct PresetHookTests {
    @Test(arguments: Preset.allCases)
    func `a preset's hooks call nobody before somebody says whom`(_ preset: Preset) throws {
        var configuration = EbbConfiguration()
        configuration.presets = [preset.rawValue]
        for hook in try Hook.load(configuration) {
            guard case .off = try hook.resolve(Environment([:]), [:], isOffline: false) else {
                Issue.record("\(hook.name) is on")
                continue
            }
        }
        _ = try Announcement.load(configuration)
    }

    @Test func `the file's hooks come on top of a preset's, under other names`() throws {
        var configuration = EbbConfiguration()
        configuration.presets = [Preset.ayon.rawValue]
        let preset = try Hook.load(configuration).map(\.name)
        let name = try #require(preset.first)
        configuration.file = try ConfigurationFile(name: "ebb.yaml", yaml: "hooks: {Own: {http: {url: 'http://h'}}}")
        #expect(try Hook.load(configuration).map(\.name) == (preset + ["Own"]).sorted())
        configuration.file = try ConfigurationFile(
            name: "ebb.yaml",
            yaml: "hooks: {\(name): {http: {url: 'http://h'}}}"
        )
        #expect(throws: ConfigurationError("ebb.yaml: a preset already has the hook \(name); accepted: another name")) {
            try Hook.load(configuration)
        }
    }
}
