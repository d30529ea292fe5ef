package io.moceir.edge.core;

import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONObject;

/** Runs of one picture: the first, the warm-up, and those that count. */
final class Timed {
    /** Timed runs that are made however long each takes: fewer say nothing about percentiles. */
    private static final int LEAST_RUNS = 20;

    private final Session session;
    private final Picture picture;
    private final Machine machine;
    private final List<Double> warmUp = new ArrayList<>();
    private final List<Double> began = new ArrayList<>();
    final List<Double> runs = new ArrayList<>();
    List<Reading> readings;
    double firstMs;
    double perSecond;
    long beginNs;
    boolean steady;

    Timed(Session session, Picture picture, Machine machine) {
        this.session = session;
        this.picture = picture;
        this.machine = machine;
    }

    /** runs: 0 for as many as the seconds give. */
    void run(int wanted, double seconds) throws Problem {
        firstMs = once();
        warmUp();
        Sampler sampler = new Sampler(machine);
        try {
            beginNs = System.nanoTime();
            while (wanted > 0 ? runs.size() < wanted : runs.size() < LEAST_RUNS || secondsSince(beginNs) < seconds) {
                began.add(secondsSince(beginNs));
                runs.add(once());
            }
            perSecond = 1e3 * runs.size() / runs.stream().mapToDouble(Double::doubleValue).sum();
        } finally {
            readings = sampler.finish();
        }
    }

    private void warmUp() throws Problem {
        long begin = System.nanoTime();
        while (!steady && (warmUp.size() < Steady.LEAST || mayStillBe(secondsSince(begin)))) {
            warmUp.add(once());
            steady = Steady.is(Steady.values(warmUp));
        }
    }

    private boolean mayStillBe(double seconds) {
        return warmUp.size() < Steady.MOST && seconds < Steady.MOST_S;
    }

    private double once() throws Problem {
        long begin = System.nanoTime();
        session.run(picture);
        return 1e3 * secondsSince(begin);
    }

    private static double secondsSince(long begin) {
        return (System.nanoTime() - begin) / 1e9;
    }

    JSONObject json(double loadMs) {
        double[] values = Steady.values(runs);
        JSONObject percentiles = new JSONObject();
        for (int percent : new int[] {50, 90, 95, 99}) {
            Json.put(percentiles, "p" + percent, new Steady.Interval(values, percent / 100.0).json());
        }
        return Json.of(
                "size", new JSONArray().put(picture.height).put(picture.width),
                "build_ms", null,
                "load_ms", loadMs,
                "first_ms", firstMs,
                "warm_up_ms", new JSONArray(warmUp),
                "steady", steady,
                "criterion", Steady.CRITERION,
                "runs_ms", new JSONArray(runs),
                "began_s", new JSONArray(began),
                "percentiles", percentiles,
                "per_second", perSecond);
    }
}
