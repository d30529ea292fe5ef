package io.moceir.edge.core;

import java.util.List;

/**
 * restored: not clipped. agreement: in [0, 1], the least of all tiles, null without routers. tiles: the scores
 * (layers x experts) of each tile, one for a whole picture, none without routers.
 */
public final class Outputs {
    public final Picture restored;
    public final Double agreement;
    public final List<float[]> tiles;

    public Outputs(Picture restored, Double agreement, List<float[]> tiles) {
        this.restored = restored;
        this.agreement = agreement;
        this.tiles = tiles;
    }
}
