package io.moceir.edge.core;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;

/**
 * Pictures that are larger than a session serves, in overlapping tiles that fade into each other, as in
 * moceir_edge/tiling.py; both are tested with the same vectors.
 */
public final class Tiles {
    /** Pixels that a tile gives up to each neighbour; small ones, which a fixed size may force, an eighth. */
    static final int OVERLAP = 32;

    /** Up to here, about two megapixels, a picture is restored whole where the session takes any size. */
    static final int WHOLE_PIXELS = 1 << 21;

    /** Side of the tiles of larger ones. */
    static final int AUTO_TILE = 768;

    private Tiles() {}

    /**
     * Restore a picture of any size.
     *
     * @param told how many tiles are done, and of how many
     */
    public static Outputs restore(Session session, Picture picture, BiConsumer<Integer, Integer> told) throws Problem {
        int[] size = served(session.size(), picture.height, picture.width);
        int[] tops = starts(picture.height, size[0]);
        int[] lefts = starts(picture.width, size[1]);
        int every = tops.length * lefts.length;
        if (every == 1) {
            Outputs only = padded(session, picture, size);
            told.accept(1, 1);
            return only;
        }
        Picture total = new Picture(picture.height, picture.width);
        float[] weights = new float[picture.height * picture.width];
        Double agreement = null;
        List<float[]> tiles = new ArrayList<>();
        int done = 0;
        for (int top : tops) {
            for (int left : lefts) {
                Outputs found = padded(session, picture.crop(top, left, size[0], size[1]), size);
                add(total, weights, found.restored, top, left);
                tiles.addAll(found.tiles);
                if (found.agreement != null) agreement = Math.min(agreement == null ? 1 : agreement, found.agreement);
                told.accept(++done, every);
            }
        }
        for (int i = 0; i < total.data.length; i++) total.data[i] /= weights[i % weights.length];
        return new Outputs(total, agreement, tiles);
    }

    /** The tile for a picture of a size: what is served, or where any size is (null), by its pixels. */
    static int[] served(int[] size, int height, int width) {
        if (size != null) return size;
        if (height * width > WHOLE_PIXELS) return new int[] {AUTO_TILE, AUTO_TILE};
        return new int[] {upTo(height), upTo(width)};
    }

    private static int upTo(int length) {
        return (length + Picture.MULTIPLE - 1) / Picture.MULTIPLE * Picture.MULTIPLE;
    }

    private static Outputs padded(Session session, Picture part, int[] size) throws Problem {
        Outputs found = session.run(part.pad(size[0], size[1]));
        return new Outputs(found.restored.crop(0, 0, part.height, part.width), found.agreement, found.tiles);
    }

    /** Starts of tiles that cover a length, the last one flush with its end. */
    static int[] starts(int length, int side) {
        if (length <= side) return new int[] {0};
        int step = Math.max(Picture.MULTIPLE, side - 2 * overlapOf(side));
        int[] found = new int[(length - side + step - 1) / step + 1];
        for (int i = 0; i < found.length - 1; i++) found[i] = i * step;
        found[found.length - 1] = length - side;
        return found;
    }

    private static int overlapOf(int side) {
        return Math.min(OVERLAP, side / 8);
    }

    /** (height, width): 1 inside, falling linearly over what neighbours share towards every edge, never 0. */
    static float[] fade(int height, int width) {
        float[] found = new float[height * width];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) found[y * width + x] = ramp(y, height) * ramp(x, width);
        }
        return found;
    }

    private static float ramp(int i, int length) {
        return (float) Math.min((Math.min(i, length - 1 - i) + 1) / (double) Math.max(1, 2 * overlapOf(length)), 1);
    }

    /** Add a tile, faded towards its edges. */
    private static void add(Picture total, float[] weights, Picture tile, int top, int left) {
        float[] shade = fade(tile.height, tile.width);
        for (int y = 0; y < tile.height; y++) {
            for (int x = 0; x < tile.width; x++) {
                float weight = shade[y * tile.width + x];
                int to = (top + y) * total.width + left + x;
                weights[to] += weight;
                for (int c = 0; c < 3; c++) {
                    float value = tile.data[(c * tile.height + y) * tile.width + x];
                    total.data[c * weights.length + to] += value * weight;
                }
            }
        }
    }
}
