import CryptoKit
import Foundation

/// What manifest.json of a bundle says, as far as the app needs it; see `moceir_edge/bundling/manifest.py`.
public struct Manifest: Decodable {
    public struct Entry: Decodable {
        public let sha256: String
        public let sizeBytes: Int
    }

    public struct Golden: Decodable {
        public let name: String
        public let task: String
        public let input: String
        public let reference: String
        public let floorDb: Double?
    }

    /// Bundles of a later kind are refused.
    public static let version = 1

    public let schemaVersion: Int
    public let name: String
    public let device: String
    public let artifactSha256: String
    public let target: String
    public let precision: String
    public let tasks: [String]
    public let runner: String
    public let runnerVersion: String
    public let golden: [Golden]
    public let files: [String: Entry]

    private struct Version: Decodable {
        let schemaVersion: Int
    }

    /// Read and check the bundle in a folder: every file is there, whole and unaltered, none lies outside, and no other
    /// is there. key: the public key in Base64 that must have signed it; nil asks for none.
    public static func open(_ folder: URL, key: String? = nil) throws -> (manifest: Manifest, sha256: String) {
        guard let bytes = try? Data(contentsOf: folder.appendingPathComponent("manifest.json")) else {
            throw Problem("\(folder.lastPathComponent) is no bundle (no manifest.json): unpack one that `bundle` made")
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        if let found = try? decoder.decode(Version.self, from: bytes), found.schemaVersion > version {
            throw Problem("the bundle has schema \(found.schemaVersion), newer than \(version): update the app")
        }
        guard let manifest = try? decoder.decode(Manifest.self, from: bytes) else {
            throw Problem("manifest.json is damaged: copy the bundle again")
        }
        guard manifest.runner == "ios", manifest.target == "coreml" else {
            throw Problem("the bundle is for \(manifest.device) (\(manifest.target)): make one for an iPhone")
        }
        try Signed.check(bytes, in: folder, key: key)
        try Contents.check(folder, named: Set(manifest.files.keys))
        for (path, entry) in manifest.files.sorted(by: { $0.key < $1.key }) {
            try check(path, entry, in: folder)
        }
        return (manifest, hex(SHA256.hash(data: bytes)))
    }

    private static func check(_ path: String, _ entry: Entry, in folder: URL) throws {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.hasPrefix("/"), !path.contains("\\"), !parts.contains(".."), !parts.contains("") else {
            throw Problem("the bundle names a file outside of itself (\(path)): do not trust it")
        }
        let file = folder.appendingPathComponent(path)
        guard let bytes = try? Data(contentsOf: file, options: .mappedIfSafe) else {
            throw Problem("\(path) is missing: copy the bundle again")
        }
        guard bytes.count == entry.sizeBytes, hex(SHA256.hash(data: bytes)) == entry.sha256 else {
            throw Problem("\(path) was altered or cut short: copy the bundle again")
        }
    }

    private static func hex(_ digest: SHA256.Digest) -> String {
        digest.map { String(format: "%02x", $0) }.joined()
    }
}
