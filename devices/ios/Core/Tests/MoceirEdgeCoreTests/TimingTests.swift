import XCTest

@testable import MoceirEdgeCore

/// The app judges times as the runner in Python does.
final class TimingTests: XCTestCase {
    private struct Vectors: Decodable {
        struct Case: Decodable {
            let name: String
            let runsMs: [Double]
            let steady: Bool
            let median: [Double]
            let p95: [Double]
            let slowerLater: Double?

            enum CodingKeys: String, CodingKey {
                case name, steady, median, p95
                case runsMs = "runs_ms"
                case slowerLater = "slower_later"
            }
        }

        let times: [Case]
    }

    /// The rounding of their mean is no correlation.
    func testEqualRuns() {
        XCTAssertTrue(Steady.interval([Double](repeating: 5.1, count: 20), 0.5).whole)
    }

    func testTimes() throws {
        let url = try XCTUnwrap(Bundle.module.url(forResource: "vectors", withExtension: "json"))
        let vectors = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: url))
        XCTAssertFalse(vectors.times.isEmpty)
        for each in vectors.times {
            XCTAssertEqual(Steady.isSteady(each.runsMs), each.steady, each.name)
            for (share, expected) in [(0.5, each.median), (0.95, each.p95)] {
                let found = Steady.interval(each.runsMs, share)
                for (value, wanted) in zip([found.value, found.low, found.high], expected) {
                    XCTAssertEqual(value, wanted, accuracy: 1e-9, each.name)
                }
            }
            switch (Steady.slowerLater(each.runsMs), each.slowerLater) {
            case (nil, nil): break
            case let (found?, wanted?): XCTAssertEqual(found, wanted, accuracy: 1e-9, each.name)
            default: XCTFail("\(each.name): one finds the later half slower, the other does not")
            }
        }
    }
}
