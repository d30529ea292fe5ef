package io.moceir.edge.core;

import org.json.JSONObject;

/** What the device told at a time; null where it does not tell. */
public final class Reading {
    public Double clockMhz;
    public Double temperatureC;
    public Double powerW;
    public Double othersShare;

    /** 0 is none; see PowerManager.THERMAL_STATUS_LIGHT and above. */
    public Integer thermalStatus;

    /** On System.nanoTime's clock. */
    public final long atNs = System.nanoTime();

    JSONObject json(long beginNs) {
        return Json.of(
                "at_s", (atNs - beginNs) / 1e9,
                "clock_mhz", clockMhz,
                "temperature_c", temperatureC,
                "power_w", powerW,
                "others_share", othersShare);
    }
}
