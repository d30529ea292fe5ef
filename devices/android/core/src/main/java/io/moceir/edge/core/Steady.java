package io.moceir.edge.core;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.json.JSONObject;

/**
 * When the warm-up is over, how sure a percentile is, and when later runs are slower: the same arithmetic as
 * devices/runner/steady.py, tested with the same numbers.
 */
final class Steady {
    /** Runs whose median is compared with that of as many before them. */
    static final int WINDOW = 5;

    /** Medians that differ by less are the same. */
    private static final double TOLERANCE = 0.03;

    /** Noise excuses no greater difference. */
    private static final double NOISIEST = 0.15;

    /** Runs that are always made; runs, and seconds, after which a device that is not steady never will be. */
    static final int LEAST = 2 * WINDOW;
    static final int MOST = 300;
    static final double MOST_S = 60;

    static final String CRITERION = String.format(
            Locale.ROOT,
            "the medians of the last %1$d runs and of the %1$d before them differ by at most %2$.0f%%, "
                    + "or by what their scatter explains, which may be no more than %3$.0f%%; "
                    + "judged for at most %4$d runs or %5$.0f s",
            WINDOW,
            100 * TOLERANCE,
            100 * NOISIEST,
            MOST,
            MOST_S);

    /** A later half is slower if its median's interval begins so much above the end of the earlier half's. */
    private static final double SLOWDOWN = 0.05;

    /** Squared differences of logarithms that are no differences. */
    private static final double ROUNDING = 1e-24;

    private Steady() {}

    /** Whether the last runs are as fast as those before them. */
    static boolean is(double[] runs) {
        if (runs.length < LEAST) return false;
        double[] before = Arrays.copyOfRange(runs, runs.length - LEAST, runs.length - WINDOW);
        double[] after = Arrays.copyOfRange(runs, runs.length - WINDOW, runs.length);
        double centre = median(before);
        double later = median(after);
        double[] apart = new double[LEAST];
        for (int i = 0; i < WINDOW; i++) {
            apart[i] = Math.abs(before[i] - centre);
            apart[WINDOW + i] = Math.abs(after[i] - later);
        }
        // 1.4826 times the median deviation is the deviation of normal noise; 1.2533: the median's error to the mean's
        double explained = 1.96 * 1.4826 * median(apart) * 1.2533 * Math.sqrt(2.0 / WINDOW) / centre;
        return Math.abs(later / centre - 1) <= Math.max(TOLERANCE, Math.min(NOISIEST, explained));
    }

    /** How many runs in a row count as one: 1 where they are independent (Sokal's sum, cut at its first window). */
    static double autocorrelationTime(double[] runs) {
        int n = runs.length;
        double[] series = new double[n];
        double mean = 0;
        for (double run : runs) mean += Math.log(run) / n;
        for (int i = 0; i < n; i++) series[i] = Math.log(runs[i]) - mean;
        double power = lagged(series, 0);
        if (n < 4 || power <= n * ROUNDING) return 1;
        double total = 1;
        for (int lag = 1; lag <= n / 4; lag++) {
            total += 2 * lagged(series, lag) / power;
            if (lag >= 5 * total) break;
        }
        return Math.max(1, total);
    }

    private static double lagged(double[] series, int lag) {
        double sum = 0;
        for (int i = 0; i + lag < series.length; i++) sum += series[i] * series[i + lag];
        return sum;
    }

    /** A quantile and the ends of its 95 % interval; `enough`: whether there are runs for both ends. */
    static final class Interval {
        final double value;
        final double low;
        final double high;
        final boolean enough;

        Interval(double[] runs, double share) {
            double[] ordered = runs.clone();
            Arrays.sort(ordered);
            int n = ordered.length;
            double apart = 1.96 * Math.sqrt(n * share * (1 - share) * autocorrelationTime(runs));
            int below = (int) Math.floor(n * share - apart);
            int above = (int) Math.ceil(n * share + apart);
            value = quantile(ordered, share);
            low = Math.min(value, ordered[Math.max(0, Math.min(n - 1, below))]);
            high = Math.max(value, ordered[Math.max(0, Math.min(n - 1, above))]);
            enough = below >= 0 && above < n;
        }

        JSONObject json() {
            return Json.of("value", value, "low", low, "high", high);
        }
    }

    /** How much slower the later half is, as a share; null where it is not, beyond what scatter explains. */
    static Double slowerLater(double[] runs) {
        int half = runs.length / 2;
        if (half < WINDOW) return null;
        Interval earlier = new Interval(Arrays.copyOfRange(runs, 0, half), 0.5);
        Interval later = new Interval(Arrays.copyOfRange(runs, half, runs.length), 0.5);
        return later.low <= earlier.high * (1 + SLOWDOWN) ? null : later.value / earlier.value - 1;
    }

    static double median(double[] values) {
        double[] ordered = values.clone();
        Arrays.sort(ordered);
        return quantile(ordered, 0.5);
    }

    /** Between the two nearest order statistics. */
    private static double quantile(double[] ordered, double share) {
        double at = share * (ordered.length - 1);
        int below = (int) Math.floor(at);
        int above = Math.min(below + 1, ordered.length - 1);
        return ordered[below] + (at - below) * (ordered[above] - ordered[below]);
    }

    static double[] values(List<Double> list) {
        return list.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
