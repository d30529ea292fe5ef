import XCTest

@testable import MoceirEdgeCore

/// The app judges pictures as Python does: cases for all runners, `tests/guard_vectors.json` of the checkout.
final class GuardTests: XCTestCase {
    private struct Vectors: Decodable {
        struct Case: Decodable {
            let name: String
            let tiles: [[[Double?]]]
            let distance: Double?
            let foreign: Bool

            enum CodingKeys: String, CodingKey {
                case name = "case"
                case tiles, distance, foreign
            }
        }

        let rule: Guard
        let cases: [Case]
    }

    func testVerdicts() throws {
        let checkout = (0..<6).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        let file = checkout.appendingPathComponent("tests/guard_vectors.json")
        let vectors = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file))
        for each in vectors.cases {
            let tiles = each.tiles.map { $0.map { $0.map { $0 ?? .nan } } }
            let found = vectors.rule.verdict(tiles)
            XCTAssertEqual(found.foreign, each.foreign, each.name)
            if let wanted = each.distance {
                XCTAssertEqual(try XCTUnwrap(found.distance), wanted, accuracy: 1e-5, each.name)
            } else {
                XCTAssertNil(found.distance, each.name)
            }
        }
    }
}
