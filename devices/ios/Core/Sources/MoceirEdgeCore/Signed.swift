import CryptoKit
import Foundation

/// The Ed25519 signature over the bytes of manifest.json that `bundle --sign` writes.
enum Signed {
    private struct Signature: Decodable {
        let publicKey: String
        let signature: String

        enum CodingKeys: String, CodingKey {
            case publicKey = "public_key"
            case signature
        }
    }

    /// A Problem where there is a signature that is not of this manifest, or where it is not by the key that is asked
    /// for. key: in Base64; nil where none is asked for, and nobody need have signed.
    static func check(_ manifest: Data, in folder: URL, key: String?) throws {
        let file = folder.appendingPathComponent("signature.json")
        guard FileManager.default.fileExists(atPath: file.path) else {
            if key == nil { return }
            throw Problem("the bundle is not signed: make it with --sign")
        }
        guard let bytes = try? Data(contentsOf: file),
            let found = try? JSONDecoder().decode(Signature.self, from: bytes)
        else {
            throw Problem("signature.json is damaged: copy the bundle again")
        }
        if let key, key != found.publicKey {
            throw Problem("the bundle is signed with another key: ask for one signed with \(key)")
        }
        guard verified(manifest, by: found) else {
            throw Problem("the bundle's signature is not of this manifest: copy the bundle again")
        }
    }

    private static func verified(_ manifest: Data, by found: Signature) -> Bool {
        guard let raw = Data(base64Encoded: found.publicKey), let signature = Data(base64Encoded: found.signature),
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw)
        else { return false }
        return key.isValidSignature(signature, for: manifest)
    }
}
