package io.moceir.edge.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import org.json.JSONArray;

/** Why the times of a run mean nothing; no reason where they count. */
final class Verdict {
    /** Share of its own time that a run may wait for others, as BUSY_SHARE of devices/runner/machine.py. */
    private static final double BUSY_SHARE = 0.10;

    /** Share by which the clock falls, from the first to the last quarter of the readings, when it is throttled. */
    private static final double FALLING = 0.10;

    /** From where on, in degrees, a falling clock is put down to heat, as HOT_C there. */
    private static final double HOT_C = 75;

    /**
     * THERMAL_STATUS_LIGHT and _MODERATE of PowerManager: throttling that a user does not notice, and may notice. From
     * the second on times mean nothing; the first is noted, and explains a clock that falls.
     */
    private static final int LIGHT = 1;
    private static final int MODERATE = 2;

    private static final String[] STATUS = {"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"};

    private Verdict() {}

    static JSONArray reasons(double[] runs, boolean steady, List<Reading> readings, List<String> obstacles) {
        List<String> reasons = new ArrayList<>(obstacles);
        if (!steady) reasons.add("never steady: " + Steady.CRITERION);
        double waited = 0;
        int told = 0;
        for (Reading reading : readings) {
            if (reading.othersShare == null) continue;
            waited += reading.othersShare;
            told++;
        }
        if (status(readings) >= MODERATE) reasons.add("throttled: the thermal status was " + STATUS[status(readings)]);
        String fell = fallen(readings);
        if (fell != null) reasons.add(fell);
        Double slower = Steady.slowerLater(runs);
        if (slower != null) reasons.add(percent("throttled: the later half of the runs is %.0f %% slower", slower));
        if (told > 0 && waited / told > BUSY_SHARE) {
            reasons.add(percent("others were at work: %.0f %% of its time it waited for a core", waited / told));
        }
        return new JSONArray(reasons);
    }

    /** What a person should know of readings that do not make the times void. */
    static List<String> notes(List<Reading> readings) {
        if (status(readings) != LIGHT) return Collections.emptyList();
        return Collections.singletonList("the thermal status was " + STATUS[LIGHT] + ": the phone began to slow down");
    }

    /** The highest; none where it was not told. */
    private static int status(List<Reading> readings) {
        int highest = 0;
        for (Reading reading : readings) {
            if (reading.thermalStatus != null) highest = Math.max(highest, reading.thermalStatus);
        }
        return Math.min(highest, STATUS.length - 1);
    }

    /** A clock that falls while nothing is hot was lowered for want of work, which is no reason. */
    private static String fallen(List<Reading> readings) {
        int quarter = readings.size() / 4;
        List<Reading> end = readings.subList(readings.size() - quarter, readings.size());
        Double first = clock(readings.subList(0, quarter));
        Double last = clock(end);
        if (!hot(end)) return null;
        if (first == null || last == null || last >= (1 - FALLING) * first) return null;
        return String.format(Locale.ROOT, "throttled: the clock fell from %.0f to %.0f MHz", first, last);
    }

    /** By the system's own word; a phone's temperature is its battery's, which is never so hot as its processor. */
    private static boolean hot(List<Reading> readings) {
        return status(readings) >= LIGHT
                || readings.stream().anyMatch(reading -> reading.temperatureC != null && reading.temperatureC >= HOT_C);
    }

    /** Mean of those that tell one; null where none does. */
    private static Double clock(List<Reading> readings) {
        OptionalDouble mean = readings.stream()
                .filter(reading -> reading.clockMhz != null)
                .mapToDouble(reading -> reading.clockMhz)
                .average();
        return mean.isPresent() ? mean.getAsDouble() : null;
    }

    private static String percent(String text, double share) {
        return String.format(Locale.ROOT, text, 100 * share);
    }
}
