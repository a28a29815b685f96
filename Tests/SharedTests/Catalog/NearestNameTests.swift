import Testing

@testable import Shared

@Suite struct NearestNameTests {
    @Test(arguments: [
        ("vacum", "vacuum"), ("VACUUM", "vacuum"), ("lease", "leases"), ("tragets", "targets"), ("a", nil), ("", nil),
        ("something", nil), ("vac", nil),
    ])
    func `the nearest name is found only when it is near`(_ name: String, _ nearest: String?) {
        #expect(NearestName.of(name, among: ["vacuum", "leases", "targets"]) == nearest)
    }

    @Test(arguments: [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("abc", "abc", 0)])
    func `the distance counts edits`(_ from: String, _ to: String, _ distance: Int) {
        #expect(NearestName.distance(Array(from), Array(to)) == distance)
    }
}
