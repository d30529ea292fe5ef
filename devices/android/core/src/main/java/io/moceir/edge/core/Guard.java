package io.moceir.edge.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * Whether a picture is one of those that the model was made for, by the scores of its routers alone: the rule of
 * moceir_edge/guarding.py, which lies in artifact.json; both are tested with the same cases.
 */
public final class Guard {
    private final List<double[]> pictures = new ArrayList<>();
    private final int neighbours;
    private final double floor;
    private final double threshold;

    Guard(JSONObject rule) throws Problem {
        JSONArray rows = Json.array(rule, "pictures");
        for (int i = 0; i < rows.length(); i++) pictures.add(numbers(rows.optJSONArray(i)));
        neighbours = rule.optInt("neighbours");
        floor = rule.optDouble("floor");
        threshold = rule.optDouble("threshold");
        if (neighbours < 1 || neighbours > pictures.size() || !(floor > 0) || !(threshold >= 0)) {
            throw new Problem("damaged: the guard's rule is none", "make the bundle again");
        }
    }

    private static double[] numbers(JSONArray row) throws Problem {
        double[] found = new double[row == null ? 0 : row.length()];
        for (int i = 0; i < found.length; i++) found[i] = row.optDouble(i);
        if (found.length == 0) throw new Problem("damaged: the guard's rule has no pictures", "make the bundle again");
        return found;
    }

    /** To the nearest pictures of the rule; NaN where a score is none. tiles: see `Outputs`. */
    double distance(List<float[]> tiles) {
        double[] point = new double[pictures.get(0).length];
        for (float[] scores : tiles) {
            for (int i = 0; i < point.length; i++) point[i] += Math.log(Math.max(scores[i], floor)) / tiles.size();
        }
        double[] distances = pictures.stream().mapToDouble(picture -> apart(picture, point)).sorted().toArray();
        return Arrays.stream(distances).limit(neighbours).sum() / neighbours;
    }

    private static double apart(double[] one, double[] other) {
        double sum = 0;
        for (int i = 0; i < one.length; i++) sum += (one[i] - other[i]) * (one[i] - other[i]);
        return Math.sqrt(sum / one.length);
    }

    boolean foreign(double distance) {
        return !(distance <= threshold);
    }

    /** A warning for people, null where the picture is one of the model's tasks, whose names are given. */
    public String warning(Outputs outputs, String tasks) {
        double distance = distance(outputs.tiles);
        if (!foreign(distance)) return null;
        String kept = outputs.agreement == null
                ? "."
                : String.format(Locale.ROOT, "; %.0f %% of its routing is what the model keeps.", 100 * outputs.agreement);
        return String.format(
                Locale.ROOT,
                "The picture looks like none of %s, it may need another model: routing distance %.2f, limit %.2f%s",
                tasks,
                distance,
                threshold,
                kept);
    }
}
