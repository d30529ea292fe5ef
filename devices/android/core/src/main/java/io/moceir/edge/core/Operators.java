package io.moceir.edge.core;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Times of a model's operators, from the trace that ONNX Runtime writes. */
final class Operators {
    private Operators() {}

    /** As `OperatorMs` of moceir_edge/device_result.py, the dearest first; runs: how often the model ran. */
    static JSONArray read(File trace, int runs) throws Problem {
        Map<String, double[]> kinds = new TreeMap<>(); // milliseconds and calls of all runs
        try {
            JSONArray events = new JSONArray(new String(Json.bytes(trace), StandardCharsets.UTF_8));
            for (int i = 0; i < events.length(); i++) count(kinds, events.getJSONObject(i));
        } catch (JSONException error) {
            throw new Problem(trace + ": the runtime's trace is none: " + error.getMessage(), "use another runtime");
        }
        JSONArray found = new JSONArray();
        kinds.entrySet().stream()
                .sorted((one, other) -> Double.compare(other.getValue()[0], one.getValue()[0]))
                .map(kind -> Json.of(
                        "kind", kind.getKey(),
                        "time_ms", kind.getValue()[0] / runs,
                        "count", Math.round(kind.getValue()[1] / runs)))
                .forEach(found::put);
        return found;
    }

    /** A node's kernel has an event `<node>_kernel_time` with its operator and microseconds. */
    private static void count(Map<String, double[]> kinds, JSONObject event) throws JSONException {
        if (!event.optString("cat").equals("Node") || !event.optString("name").endsWith("_kernel_time")) return;
        String kind = event.getJSONObject("args").getString("op_name");
        double[] sums = kinds.computeIfAbsent(kind, none -> new double[2]);
        sums[0] += event.getDouble("dur") / 1e3;
        sums[1] += 1;
    }
}
