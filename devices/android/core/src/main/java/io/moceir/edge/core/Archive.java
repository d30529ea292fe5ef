package io.moceir.edge.core;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * A bundle's gzip tar (POSIX.1-1988 ustar: blocks of 512 bytes), unpacked with suspicion: plain files and folders only,
 * all below one top folder, none twice, none outside.
 */
final class Archive {
    private static final int BLOCK = 512;

    /** Paths whose parts mean the same on every system and lead nowhere else; `..` and `.` are none. */
    private static final String PART = "(?!\\.)[A-Za-z0-9_.+=@ ,()\\[\\]-]*[A-Za-z0-9_+=@,()\\[\\]-]";
    private static final Pattern SAFE = Pattern.compile(PART + "(/" + PART + ")*");

    private final File file;
    private final File folder;
    private final Set<String> seen = new HashSet<>();
    private String top;

    private Archive(File file, File folder) {
        this.file = file;
        this.folder = folder;
    }

    /** Unpacks below a folder, which must be empty; returns the top folder. most: bytes of all files together. */
    static File unpack(File file, File folder, long most) throws Problem {
        Archive archive = new Archive(file, folder);
        try (InputStream raw = Files.newInputStream(file.toPath());
                InputStream plain = new BufferedInputStream(new GZIPInputStream(raw), 1 << 16)) {
            archive.entries(new DataInputStream(plain), most);
        } catch (EOFException error) {
            throw new Problem(file + ": the bundle is cut short", "send it again");
        } catch (IOException error) {
            throw new Problem(file + ": the bundle cannot be unpacked: " + error.getMessage(), "send it again");
        }
        if (archive.top == null) throw new Problem(file + ": the bundle is empty", "send it again");
        return new File(folder, archive.top);
    }

    private void entries(DataInputStream stream, long most) throws IOException, Problem {
        byte[] header = new byte[BLOCK];
        for (long left = most; ; ) {
            stream.readFully(header);
            if (empty(header)) break; // two empty blocks end it
            long size = octal(header, 124, 12);
            if (octal(header, 148, 8) != sum(header)) throw refused("is damaged");
            String name = name(header);
            left -= size;
            if (left < 0) {
                throw new Problem(file + ": the bundle needs more than " + most + " bytes here", "free some space");
            }
            if (header[156] == '5') Files.createDirectories(new File(folder, name).toPath());
            else if (header[156] == '0' || header[156] == 0) copy(stream, name, size);
            else throw refused("holds " + name + ", which is no plain file");
        }
        while (stream.read(header) > 0) { // to the end of the gzip stream, where its checksum is
            if (!empty(header)) throw refused("holds something behind its end");
        }
    }

    /** The entry's path, which is one below the top folder. */
    private String name(byte[] header) throws Problem {
        String prefix = text(header, 345, 155);
        String name = (prefix.isEmpty() ? "" : prefix + "/") + text(header, 0, 100);
        String path = name.endsWith("/") ? name.substring(0, name.length() - 1) : name;
        if (!SAFE.matcher(path).matches()) throw refused("holds the path " + name);
        String first = path.split("/")[0];
        if (top == null) top = first;
        if (!first.equals(top)) throw refused("holds " + name + " outside of its folder " + top);
        if (!seen.add(path.toLowerCase(Locale.ROOT))) throw refused("holds " + name + " twice");
        return path;
    }

    private void copy(DataInputStream stream, String name, long size) throws IOException {
        File to = new File(folder, name);
        Files.createDirectories(to.getParentFile().toPath());
        byte[] block = new byte[1 << 16];
        try (OutputStream out = Files.newOutputStream(to.toPath())) {
            for (long left = size; left > 0; ) {
                int length = stream.read(block, 0, (int) Math.min(block.length, left));
                if (length < 0) throw new EOFException();
                out.write(block, 0, length);
                left -= length;
            }
        }
        stream.readFully(new byte[(int) (-size & BLOCK - 1)]);
    }

    private static boolean empty(byte[] header) {
        for (byte each : header) if (each != 0) return false;
        return true;
    }

    /** The header's checksum: of its bytes, the checksum itself counted as spaces. */
    private static long sum(byte[] header) {
        long sum = 8 * ' ';
        for (int i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i] & 0xff;
        return sum;
    }

    private static String text(byte[] header, int from, int length) {
        int end = from;
        while (end < from + length && header[end] != 0) end++;
        return new String(header, from, end - from, StandardCharsets.ISO_8859_1);
    }

    private long octal(byte[] header, int from, int length) throws Problem {
        String digits = text(header, from, length).trim();
        if (!digits.matches("[0-7]{1,12}")) throw refused("is damaged");
        return Long.parseLong(digits, 8);
    }

    private Problem refused(String why) {
        return new Problem(file + ": the bundle " + why, "make the bundle again");
    }
}
