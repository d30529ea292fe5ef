package io.moceir.edge.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The two kinds of .npy that an artifact carries: (1, 3, H, W) of uint8 or float32. */
public final class Npy {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final Pattern HEADER = Pattern.compile(
            "\\{'descr': '(\\|u1|<f4)', 'fortran_order': False, 'shape': \\(1, 3, (\\d{1,5}), (\\d{1,5})\\), *\\}\\s*");

    private Npy() {}

    /** The picture in a file; uint8 becomes [0, 1]. */
    public static Picture read(File file) throws Problem {
        try {
            return picture(file, ByteBuffer.wrap(Files.readAllBytes(file.toPath())).order(ByteOrder.LITTLE_ENDIAN));
        } catch (IOException error) {
            throw new Problem(file + " cannot be read: " + error.getMessage(), "send the bundle again");
        }
    }

    private static Picture picture(File file, ByteBuffer bytes) throws Problem {
        Matcher header = HEADER.matcher(header(file, bytes));
        if (!header.matches()) throw wrong(file);
        Picture picture = new Picture(Integer.parseInt(header.group(2)), Integer.parseInt(header.group(3)));
        boolean floats = header.group(1).equals("<f4");
        if (bytes.remaining() != picture.data.length * (floats ? 4 : 1)) throw wrong(file);
        if (floats) bytes.asFloatBuffer().get(picture.data);
        else for (int i = 0; i < picture.data.length; i++) picture.data[i] = (bytes.get() & 0xff) / 255f;
        return picture;
    }

    /** Leaves the buffer at the values. */
    private static String header(File file, ByteBuffer bytes) throws Problem {
        byte[] magic = new byte[MAGIC.length];
        if (bytes.remaining() < 12) throw wrong(file);
        bytes.get(magic);
        byte version = bytes.get();
        bytes.get();
        int length = version == 1 ? bytes.getShort() & 0xffff : bytes.getInt();
        if (!Arrays.equals(magic, MAGIC) || length < 0 || length > bytes.remaining()) throw wrong(file);
        byte[] header = new byte[length];
        bytes.get(header);
        return new String(header, StandardCharsets.ISO_8859_1);
    }

    private static Problem wrong(File file) {
        return new Problem(file + " is no picture (1, 3, H, W) of uint8 or float32", "make the bundle again");
    }
}
