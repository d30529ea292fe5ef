package io.moceir.edge.core;

import java.io.File;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.NoSuchAlgorithmException;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import org.json.JSONObject;

/** The Ed25519 signature over the bytes of manifest.json. */
final class Signed {
    /** What stands before the 32 bytes of a key in a SubjectPublicKeyInfo (RFC 8410, section 4). */
    private static final byte[] BEFORE_KEY = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

    private Signed() {}

    /** key: the public key in base64 that must have signed. */
    static void check(File folder, byte[] manifest, String key) throws Problem {
        File file = new File(folder, "signature.json");
        if (!file.isFile()) throw new Problem(folder + ": the bundle is not signed", "make it with --sign");
        JSONObject signature = Json.parse(file, Json.bytes(file));
        if (!Json.text(signature, "public_key").equals(key)) {
            throw new Problem(folder + ": the bundle is signed with another key", "ask for one signed with " + key);
        }
        if (!verified(manifest, key, Json.text(signature, "signature"))) {
            throw new Problem(folder + ": the bundle's signature is not of this manifest", "send the bundle again");
        }
    }

    private static boolean verified(byte[] message, String key, String signature) throws Problem {
        try {
            byte[] raw = Base64.getDecoder().decode(key);
            byte[] encoded = new byte[BEFORE_KEY.length + raw.length];
            System.arraycopy(BEFORE_KEY, 0, encoded, 0, BEFORE_KEY.length);
            System.arraycopy(raw, 0, encoded, BEFORE_KEY.length, raw.length);
            PublicKey known = KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
            Signature verifier = Signature.getInstance("Ed25519");
            verifier.initVerify(known);
            verifier.update(message);
            return verifier.verify(Base64.getDecoder().decode(signature));
        } catch (NoSuchAlgorithmException error) {
            throw new Problem("this system cannot check Ed25519 signatures", "use a newer Android");
        } catch (GeneralSecurityException | IllegalArgumentException error) {
            return false;
        }
    }
}
