package io.moceir.edge.core;

/**
 * A picture as planes: data is (3, height, width), float32 in [0, 1] unless it was restored.
 *
 * <p>What is computed here is what Python computes (moceir_edge.runner.pad); both are tested with the same vectors.
 */
public final class Picture {
    /** Sides of served pictures are multiples of this. */
    public static final int MULTIPLE = 8;

    public final int height;
    public final int width;
    public final float[] data;

    public Picture(int height, int width, float[] data) {
        if (data.length != 3 * height * width) throw new IllegalArgumentException("not (3, height, width)");
        this.height = height;
        this.width = width;
        this.data = data;
    }

    public Picture(int height, int width) {
        this(height, width, new float[3 * height * width]);
    }

    /** Of 8-bit pixels 0xAARRGGBB, row by row; alpha is left out. */
    public static Picture fromPixels(int[] pixels, int height, int width) {
        Picture picture = new Picture(height, width);
        int area = height * width;
        for (int i = 0; i < area; i++) {
            for (int c = 0; c < 3; c++) picture.data[c * area + i] = channel(pixels[i], c) / 255f;
        }
        return picture;
    }

    /**
     * Opaque pixels of source + strength (this - source), clipped and rounded; source: the 8-bit pixels. A Problem
     * where a value is no number: a black or a white pixel would hide it.
     */
    public int[] toPixels(int[] source, double strength) throws Problem {
        if (!Parity.finite(this)) {
            throw new Problem("the model gives NaN or infinity on this picture", "choose another picture, or export the model again");
        }
        int area = height * width;
        int[] pixels = new int[area];
        for (int i = 0; i < area; i++) {
            int pixel = 0xff;
            for (int c = 0; c < 3; c++) {
                int from = channel(source[i], c);
                double mixed = from + strength * (255.0 * data[c * area + i] - from);
                pixel = pixel << 8 | (int) Math.rint(Math.max(0, Math.min(255, mixed)));
            }
            pixels[i] = pixel;
        }
        return pixels;
    }

    private static int channel(int pixel, int c) {
        return pixel >> 16 - 8 * c & 0xff;
    }

    /** The part from (top, left), at most rows x columns. */
    public Picture crop(int top, int left, int rows, int columns) {
        Picture part = new Picture(Math.min(rows, height - top), Math.min(columns, width - left));
        for (int c = 0; c < 3; c++) {
            for (int y = 0; y < part.height; y++) {
                int from = (c * height + top + y) * width + left;
                System.arraycopy(data, from, part.data, (c * part.height + y) * part.width, part.width);
            }
        }
        return part;
    }

    /** Padded right and below, by reflection, by edge where a side is too short for that. */
    public Picture pad(int rows, int columns) {
        Picture padded = new Picture(rows, columns);
        int[] tops = sources(height, rows);
        int[] lefts = sources(width, columns);
        for (int c = 0; c < 3; c++) {
            for (int y = 0; y < rows; y++) {
                int from = (c * height + tops[y]) * width;
                int to = (c * rows + y) * columns;
                for (int x = 0; x < columns; x++) padded.data[to + x] = data[from + lefts[x]];
            }
        }
        return padded;
    }

    /** Which index of a side each index of the padded one shows. */
    private static int[] sources(int length, int padded) {
        boolean reflect = padded - length < length;
        int[] found = new int[padded];
        for (int i = 0; i < padded; i++) {
            found[i] = i < length ? i : reflect ? 2 * (length - 1) - i : length - 1;
        }
        return found;
    }
}
