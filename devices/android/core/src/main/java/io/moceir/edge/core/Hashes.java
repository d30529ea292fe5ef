package io.moceir.edge.core;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256 as lower-case hexadecimal digits. */
public final class Hashes {
    private Hashes() {}

    public static String of(byte[] bytes) {
        return hex(digest().digest(bytes));
    }

    static String of(File file) throws IOException {
        MessageDigest digest = digest();
        byte[] block = new byte[1 << 16];
        try (InputStream stream = Files.newInputStream(file.toPath())) {
            for (int length; (length = stream.read(block)) > 0; ) digest.update(block, 0, length);
        }
        return hex(digest.digest());
    }

    private static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) { // every Java and every Android has it
            throw new IllegalStateException(error);
        }
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) text.append(String.format("%02x", each));
        return text.toString();
    }
}
