package io.moceir.edge.core;

import java.util.List;
import org.json.JSONObject;

/** Energy from a battery's current and voltage. */
public final class Battery {
    private Battery() {}

    /**
     * Watts that the device takes; null while it charges, when they come from elsewhere, and where it does not tell.
     *
     * <p>Whether a discharging battery tells a positive or a negative current differs (Linux's commit 05f94eb98907,
     * "power: supply: document current direction", names three ways), so the sign is not looked at.
     *
     * @param microamperes BATTERY_PROPERTY_CURRENT_NOW; Integer.MIN_VALUE where the property is not known
     * @param millivolts EXTRA_VOLTAGE of ACTION_BATTERY_CHANGED
     */
    public static Double watts(int microamperes, int millivolts, boolean plugged) {
        if (plugged || microamperes == Integer.MIN_VALUE || microamperes == 0 || millivolts <= 0) return null;
        return Math.abs((double) microamperes) * millivolts / 1e9;
    }

    /** Mean watts over time (trapezoids); null with less than two readings that have them. */
    static Double mean(List<Reading> readings) {
        double joules = 0;
        double seconds = 0;
        Reading before = null;
        for (Reading reading : readings) {
            if (reading.powerW == null) continue;
            if (before != null) {
                double apart = (reading.atNs - before.atNs) / 1e9;
                joules += apart * (reading.powerW + before.powerW) / 2;
                seconds += apart;
            }
            before = reading;
        }
        return seconds > 0 ? joules / seconds : null;
    }

    /** As `Energy` of moceir_edge/device_result.py; null where the device does not tell. */
    static JSONObject energy(String source, List<Reading> idle, List<Reading> busy, double perSecond) {
        Double mean = mean(busy);
        Double before = mean(idle);
        if (mean == null) return null;
        return Json.of(
                "source", source,
                "mj_per_picture", 1e3 * mean / perSecond,
                "idle_w", before,
                "mean_w", mean,
                "above_idle_mj", before == null ? null : 1e3 * (mean - before) / perSecond);
    }
}
