import XCTest

@testable import MoceirEdgeCore

/// The app pads, cuts, joins and compares pictures as Python does.
final class PictureTests: XCTestCase {
    private struct Vectors: Decodable {
        struct Pad: Decodable { let shape: [Int]; let size: [Int]; let data: [Float] }
        struct Starts: Decodable { let length: Int; let side: Int; let starts: [Int] }
        struct Fade: Decodable { let shape: [Int]; let data: [[Double]] }
        struct Restore: Decodable { let shape: [Int]; let size: [Int]; let samples: [[Double]] }
        struct Psnr: Decodable { let shape: [Int]; let db: Double }

        let pad: [Pad]
        let starts: [Starts]
        let fade: Fade
        let restore: [Restore]
        let psnr: Psnr
    }

    /// A model that sees all it is given, as attention does.
    private struct AddsMean: Session {
        let served: (height: Int, width: Int)?

        func run(_ picture: Planes) throws -> Outputs {
            let mean = Float(picture.data.reduce(0.0) { $0 + Double($1) } / Double(picture.data.count))
            let data = picture.data.map { $0 + mean }
            let restored = Planes(height: picture.height, width: picture.width, data: data)
            return Outputs(restored: restored, agreement: Double(picture.data[0]))
        }
    }

    private func vectors() throws -> Vectors {
        let url = try XCTUnwrap(Bundle.module.url(forResource: "vectors", withExtension: "json"))
        return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: url))
    }

    private func picture(_ shape: [Int]) -> Planes {
        let data = (0..<3 * shape[0] * shape[1]).map { Float($0 * 37 % 256) / 255 }
        return Planes(height: shape[0], width: shape[1], data: data)
    }

    func testPadding() throws {
        for each in try vectors().pad {
            let found = picture(each.shape).padded(height: each.size[0], width: each.size[1])
            XCTAssertEqual(found.data, each.data)
        }
    }

    func testStarts() throws {
        for each in try vectors().starts {
            XCTAssertEqual(Tiles.starts(each.length, side: each.side), each.starts)
        }
    }

    func testFade() throws {
        let fade = try vectors().fade
        let found = Tiles.fade(height: fade.shape[0], width: fade.shape[1])
        for sample in fade.data {
            XCTAssertEqual(Double(found[Int(sample[0])]), sample[1], accuracy: 1e-7)
        }
    }

    func testRestoring() throws {
        for each in try vectors().restore {
            let session = AddsMean(served: (each.size[0], each.size[1]))
            let found = try Tiles.restore(picture(each.shape), with: session)
            for sample in each.samples {
                XCTAssertEqual(Double(found.restored.data[Int(sample[0])]), sample[1], accuracy: 1e-5)
            }
        }
    }

    func testPsnr() throws {
        let expected = try vectors().psnr
        let one = picture(expected.shape)
        let half = Planes(height: one.height, width: one.width, data: one.data.map { $0 * 0.5 })
        XCTAssertEqual(psnr(one, half), expected.db, accuracy: 1e-6)
        XCTAssertEqual(psnr(one, one), .infinity)
    }

    /// NaN and infinity are equal to nothing, and no picture that is shown.
    func testWhatIsNoNumber() throws {
        let one = picture([8, 16])
        let source = [UInt8](repeating: 9, count: 4 * 8 * 16)
        XCTAssertEqual(try one.rgba(over: source).count, source.count)
        for value in [Float.nan, .infinity, -.infinity] {
            var wrong = one
            wrong.data[5] = value
            XCTAssertTrue(psnr(one, wrong).isNaN)
            XCTAssertTrue(psnr(wrong, one).isNaN)
            XCTAssertThrowsError(try wrong.rgba(over: source))
        }
    }

    /// Where any size is served, a picture of more than two megapixels goes in tiles.
    func testTilesOfLargePictures() {
        for (height, width, expected) in [(33, 41, [40, 48]), (1024, 2048, [1024, 2048]), (3000, 4000, [768, 768])] {
            let found = Tiles.tile(height: height, width: width)
            XCTAssertEqual([found.height, found.width], expected)
        }
    }
}
