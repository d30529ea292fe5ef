package io.moceir.edge.core;

import java.io.File;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.json.JSONArray;
import org.json.JSONObject;

/** One run of a bundle on a device: what moceir_edge/device_result.py calls a ProfileResult. */
public final class Profiler {
    /** How long the idle device is read, before the model is opened. */
    private static final long IDLE_MS = 2000;

    private final Bundle bundle;
    private final Session.Opener opener;
    private final Machine machine;
    private final Options options;

    /** What to time; size: {height, width}, null for that of the golden picture. */
    public static final class Options {
        /** So many; 0 for as many as `seconds` give, but at least 20. */
        public int runs = 0;

        public double seconds = 10;
        public int[] size;
        public String appVersion = "0";
    }

    public Profiler(Bundle bundle, Session.Opener opener, Machine machine, Options options) {
        this.bundle = bundle;
        this.opener = opener;
        this.machine = machine;
        this.options = options;
    }

    /** Measure, and write the result, whole or not at all. scratch: a folder of its own for the runtime's trace. */
    public void write(File out, File scratch) throws Problem {
        JSONObject result = run();
        Json.put(result, "operators", operators(scratch));
        Folder.write(out, Json.text(result));
    }

    private JSONObject run() throws Problem {
        String started = Instant.now().toString();
        Double memory = machine.memoryMib();
        List<Reading> idle = idle();
        long before = System.nanoTime();
        try (Session session = opener.open(bundle, null)) {
            double loadMs = (System.nanoTime() - before) / 1e6;
            Timed timed = new Timed(session, picture(session), machine);
            timed.run(options.runs, options.seconds);
            Double peak = machine.memoryPeakMib();
            double[] runs = Steady.values(timed.runs);
            JSONObject result = head(started, session);
            Json.put(result, "latency", timed.json(loadMs));
            Json.put(result, "memory_peak_mib", peak);
            Json.put(result, "memory_peak_of", peak == null ? "" : "the app, its Java heap included");
            Json.put(result, "memory_base_mib", memory);
            Json.put(result, "energy", Battery.energy(machine.powerSource(), idle, timed.readings, timed.perSecond));
            Json.put(result, "readings", readings(timed));
            Json.put(result, "accuracy", accuracy(session));
            Json.put(result, "invalid", Verdict.reasons(runs, timed.steady, timed.readings, machine.obstacles()));
            Json.put(result, "notes", new JSONArray(notes(runs, timed.readings)));
            return result;
        }
    }

    private List<Reading> idle() throws Problem {
        Sampler sampler = new Sampler(machine);
        try {
            Thread.sleep(IDLE_MS);
        } catch (InterruptedException error) {
            throw new Problem("interrupted", "start again");
        }
        return sampler.finish();
    }

    /** The first golden picture, cut or padded to what is timed. */
    private Picture picture(Session session) throws Problem {
        List<JSONObject> golden = bundle.golden();
        if (golden.isEmpty()) throw new Problem("the bundle has no golden picture", "make the bundle again");
        Picture picture = bundle.golden(golden.get(0), "input");
        int[] size = session.size();
        if (size == null) size = options.size;
        if (size == null) size = new int[] {downTo(picture.height), downTo(picture.width)};
        if (size[0] % Picture.MULTIPLE != 0 || size[1] % Picture.MULTIPLE != 0) {
            throw new Problem(size[0] + "x" + size[1] + " is no multiple of 8", "give another size");
        }
        return picture.crop(0, 0, size[0], size[1]).pad(size[0], size[1]);
    }

    /** What is timed is the picture, and nothing that was padded to it. */
    private static int downTo(int length) {
        return length / Picture.MULTIPLE * Picture.MULTIPLE;
    }

    private JSONObject head(String started, Session session) throws Problem {
        Map<String, String> versions = new TreeMap<>(session.versions());
        versions.put("moceir-edge app", options.appVersion);
        JSONObject manifest = bundle.manifest;
        return Json.of(
                "schema_version", 1,
                "runner", "android",
                "runner_version", options.appVersion,
                "started_utc", started,
                "bundle_sha256", bundle.sha256,
                "artifact_sha256", Json.text(manifest, "artifact_sha256"),
                "target", Json.text(manifest, "target"),
                "precision", Json.text(manifest, "precision"),
                "tasks", Json.array(manifest, "tasks"),
                "device", machine.facts(Json.text(manifest, "device")),
                "runtime", session.runtime(),
                "versions", new JSONObject(versions));
    }

    private static JSONArray readings(Timed timed) {
        JSONArray found = new JSONArray();
        for (Reading reading : timed.readings) found.put(reading.json(timed.beginNs));
        return found;
    }

    /** Every golden picture against the full model's output, in the process that was timed. */
    private JSONArray accuracy(Session session) throws Problem {
        JSONArray found = new JSONArray();
        for (JSONObject pair : bundle.golden()) {
            Outputs outputs = Tiles.restore(session, bundle.golden(pair, "input"), (done, every) -> {});
            double psnr = Parity.psnrDb(bundle.golden(pair, "reference"), outputs.restored);
            boolean finite = psnr != Parity.WORST_DB; // every value of both, so
            boolean told = outputs.agreement != null && Double.isFinite(outputs.agreement);
            found.put(Json.of(
                    "name", Json.text(pair, "name"),
                    "task", Json.text(pair, "task"),
                    "finite", finite,
                    "psnr_db", finite && !Double.isInfinite(psnr) ? psnr : null,
                    "agreement", told ? outputs.agreement : null,
                    "floor_db", pair.isNull("floor_db") ? null : pair.optDouble("floor_db")));
        }
        return found;
    }

    private List<String> notes(double[] runs, List<Reading> readings) {
        List<String> notes = new ArrayList<>(machine.notes());
        notes.addAll(Verdict.notes(readings));
        if (!new Steady.Interval(runs, 0.99).enough) {
            notes.add("too few runs for both ends of every percentile's interval: they are the fastest or slowest run");
        }
        return notes;
    }

    /** In a session of its own, which is not timed. */
    private JSONArray operators(File scratch) throws Problem {
        Folder.renew(scratch);
        int runs = 3;
        try (Session session = opener.open(bundle, scratch)) {
            Picture picture = picture(session);
            for (int i = 0; i < runs; i++) session.run(picture);
        }
        File[] traces = scratch.listFiles();
        JSONArray found = traces.length == 1 ? Operators.read(traces[0], runs) : new JSONArray();
        Folder.clear(scratch);
        return found;
    }
}
