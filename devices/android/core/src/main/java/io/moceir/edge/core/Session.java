package io.moceir.edge.core;

import java.util.Map;
import org.json.JSONObject;

/** A model that was opened: whatever computes it implements this. */
public interface Session extends AutoCloseable {
    /** {height, width} that it serves, null for any multiple of 8. */
    int[] size();

    /** picture: of a served size. */
    Outputs run(Picture picture) throws Problem;

    /** As `RuntimeFacts` of moceir_edge/device_result.py: name, version, provider, threads. */
    JSONObject runtime();

    /** Versions of what computes, by library. */
    Map<String, String> versions();

    @Override
    void close() throws Problem;

    /** How to open one. */
    interface Opener {
        /** trace: the folder for a trace of every operator, null for none; it is whole when the session is closed. */
        Session open(Bundle bundle, java.io.File trace) throws Problem;
    }
}
