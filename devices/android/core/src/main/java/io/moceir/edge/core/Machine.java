package io.moceir.edge.core;

import java.util.List;
import org.json.JSONObject;

/** The device that runs a bundle. */
public interface Machine {
    /** As `DeviceFacts` of moceir_edge/device_result.py; profile: the name in the bundle. */
    JSONObject facts(String profile);

    /** What it tells now. */
    Reading read();

    /** The highest so far, and now, resident, of this process; null where the system does not tell. */
    Double memoryPeakMib();

    Double memoryMib();

    /** Why times would mean nothing whatever they are, as a battery saver that is on; empty where nothing is. */
    List<String> obstacles();

    /** What a person should know beside the numbers. */
    List<String> notes();

    /** What `Reading.powerW` is of. */
    String powerSource();
}
