package io.moceir.edge.core;

/** How close two pictures are, as moceir_edge/metrics.py computes it. */
public final class Parity {
    /** Stands for an output that holds NaN or infinity. */
    public static final double WORST_DB = -1000;

    private Parity() {}

    /** PSNR in dB over all values, peak 1, nothing clipped; infinity for equal pictures. */
    public static double psnrDb(Picture reference, Picture candidate) {
        if (reference.height != candidate.height || reference.width != candidate.width) {
            throw new IllegalArgumentException("pictures of two sizes");
        }
        double sum = 0;
        for (int i = 0; i < reference.data.length; i++) {
            double error = (double) reference.data[i] - candidate.data[i];
            sum += error * error;
        }
        double mean = sum / reference.data.length;
        if (Double.isNaN(mean) || Double.isInfinite(mean)) return WORST_DB;
        return mean == 0 ? Double.POSITIVE_INFINITY : 10 * Math.log10(1 / mean);
    }

    /** Whether every value is a number, and none is infinite. */
    static boolean finite(Picture picture) {
        for (float value : picture.data) {
            if (Float.isNaN(value) || Float.isInfinite(value)) return false;
        }
        return true;
    }
}
