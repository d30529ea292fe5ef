import CryptoKit
import XCTest

@testable import MoceirEdgeCore

/// A bundle is opened only if it is what its manifest says, and nothing else; and signed as it was asked for.
final class ManifestTests: XCTestCase {
    private var folder = URL(fileURLWithPath: NSTemporaryDirectory())

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        let inside = folder.appendingPathComponent("artifact/model.mlpackage")
        try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
        let model = Data("model".utf8)
        try model.write(to: inside.appendingPathComponent("weights.bin"))
        let sha256 = SHA256.hash(data: model).map { String(format: "%02x", $0) }.joined()
        let manifest = """
            {"schema_version": 1, "name": "derain", "device": "iphone_15", "artifact_sha256": "", "target": "coreml",
            "precision": "float16", "tasks": ["derain"], "runner": "ios", "runner_version": "0.1.0", "golden": [],
            "files": {"artifact/model.mlpackage/weights.bin": {"sha256": "\(sha256)", "size_bytes": 5}}}
            """
        try Data(manifest.utf8).write(to: folder.appendingPathComponent("manifest.json"))
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    private func says(_ expected: String, key: String? = nil) {
        XCTAssertThrowsError(try Manifest.open(folder, key: key)) { error in
            XCTAssertTrue(error.localizedDescription.contains(expected), error.localizedDescription)
        }
    }

    private func sign(_ manifest: Data, with key: Curve25519.Signing.PrivateKey) throws {
        let written = [
            "public_key": key.publicKey.rawRepresentation.base64EncodedString(),
            "signature": try key.signature(for: manifest).base64EncodedString(),
        ]
        try JSONEncoder().encode(written).write(to: folder.appendingPathComponent("signature.json"))
    }

    func testWhole() throws {
        XCTAssertEqual(try Manifest.open(folder).manifest.tasks, ["derain"])
        try Data().write(to: folder.appendingPathComponent(".DS_Store"))
        XCTAssertNoThrow(try Manifest.open(folder))
    }

    func testAltered() throws {
        let file = folder.appendingPathComponent("artifact/model.mlpackage/weights.bin")
        try Data("modem".utf8).write(to: file)
        says("weights.bin was altered")
        try FileManager.default.removeItem(at: file)
        says("weights.bin is missing")
    }

    func testAnotherFile() throws {
        try Data().write(to: folder.appendingPathComponent("artifact/model.mlpackage/more.bin"))
        says("more.bin is none of the bundle's files")
    }

    func testLink() throws {
        let file = folder.appendingPathComponent("artifact/model.mlpackage/weights.bin")
        let elsewhere = folder.appendingPathComponent("signature.json")
        try FileManager.default.moveItem(at: file, to: elsewhere)
        try FileManager.default.createSymbolicLink(at: file, withDestinationURL: elsewhere)
        try FileManager.default.removeItem(at: elsewhere)
        says("is a link")
    }

    func testSignature() throws {
        let manifest = try Data(contentsOf: folder.appendingPathComponent("manifest.json"))
        let key = Curve25519.Signing.PrivateKey()
        let text = key.publicKey.rawRepresentation.base64EncodedString()
        says("not signed", key: text)
        try sign(manifest, with: key)
        XCTAssertNoThrow(try Manifest.open(folder))
        XCTAssertNoThrow(try Manifest.open(folder, key: text))
        says("another key", key: Data(count: 32).base64EncodedString())
        try sign(manifest + Data(" ".utf8), with: key)
        says("not of this manifest")
    }
}
