package io.moceir.edge.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * What the Android core makes of the cases on stdin: [{ask, ...}], answered as a list on stdout; a Problem is answered
 * as {problem}.
 *
 * <p>The model of `restore` is the one of tests/picture_vectors.py: every pixel plus the mean of what was given.
 */
public final class Answers {
    public static void main(String[] arguments) throws Exception {
        JSONArray asked = new JSONArray(text(System.in));
        JSONArray answers = new JSONArray();
        for (int i = 0; i < asked.length(); i++) {
            try {
                answers.put(answer(asked.getJSONObject(i)));
            } catch (Problem problem) {
                answers.put(Json.of("problem", Problem.line(problem)));
            }
        }
        System.out.println(answers);
    }

    private static String text(InputStream stream) throws Exception {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] block = new byte[1 << 16];
        for (int length; (length = stream.read(block)) > 0; ) all.write(block, 0, length);
        return new String(all.toByteArray(), StandardCharsets.UTF_8);
    }

    private static Object answer(JSONObject asked) throws Exception {
        switch (asked.getString("ask")) {
            case "pad":
                Picture padded = picture(asked.getJSONObject("picture"));
                return plain(padded.pad(asked.getInt("height"), asked.getInt("width")));
            case "starts":
                return new JSONArray(Tiles.starts(asked.getInt("length"), asked.getInt("side")));
            case "tile":
                return new JSONArray(Tiles.served(null, asked.getInt("height"), asked.getInt("width")));
            case "fade":
                return plain(Tiles.fade(asked.getInt("height"), asked.getInt("width")));
            case "planes":
                return plain(Picture.fromPixels(pixels(asked), asked.getInt("height"), asked.getInt("width")));
            case "rgba":
                Picture restored = picture(asked.getJSONObject("restored"));
                return rgba(restored.toPixels(pixels(asked), asked.getDouble("strength")));
            case "psnr":
                return Parity.psnrDb(picture(asked.getJSONObject("one")), picture(asked.getJSONObject("other")));
            case "npy":
                return plain(Npy.read(new File(asked.getString("path"))));
            case "restore":
                return restored(asked);
            case "guard":
                Guard guard = new Guard(asked.getJSONObject("rule"));
                double distance = guard.distance(tiles(asked));
                return Json.of(
                        "distance", Double.isNaN(distance) ? null : distance,
                        "foreign", guard.foreign(distance),
                        "warning", warning(guard, 0.6, tiles(asked)),
                        "without_agreement", warning(guard, null, tiles(asked)));
            case "steady":
                return Steady.is(runs(asked));
            case "interval":
                Steady.Interval found = new Steady.Interval(runs(asked), asked.getDouble("share"));
                return found.json().put("enough", found.enough);
            case "slower":
                return nullable(Steady.slowerLater(runs(asked)));
            case "verdict":
                List<String> obstacles = strings(asked, "obstacles");
                return Verdict.reasons(runs(asked), asked.getBoolean("steady"), readings(asked), obstacles);
            case "remarks":
                return new JSONArray(Verdict.notes(readings(asked)));
            case "watts":
                int now = asked.getInt("microamperes");
                return nullable(Battery.watts(now, asked.getInt("millivolts"), asked.getBoolean("plugged")));
            case "operators":
                return Operators.read(new File(asked.getString("path")), asked.getInt("runs"));
            case "linux":
                Linux linux = new Linux(new File(asked.getString("root")));
                return Json.of(
                        "clock_mhz", linux.clockMhz(),
                        "governor", linux.governor(),
                        "peak_mib", linux.memoryMib("VmHWM"),
                        "waiting", linux.waitingShare());
            case "request":
                return requested(asked);
            case "open":
                return opened(asked);
            case "profile":
                return profiled(asked);
            default:
                throw new IllegalArgumentException(asked.toString());
        }
    }

    private static String warning(Guard guard, Double agreement, List<float[]> tiles) {
        return guard.warning(new Outputs(new Picture(8, 8), agreement, tiles), "derain, desnow");
    }

    private static Object nullable(Object value) {
        return value == null ? JSONObject.NULL : value;
    }

    private static Picture picture(JSONObject planes) throws Exception {
        JSONArray values = planes.getJSONArray("data");
        Picture picture = new Picture(planes.getInt("height"), planes.getInt("width"));
        for (int i = 0; i < picture.data.length; i++) picture.data[i] = (float) values.optDouble(i); // NaN for null
        return picture;
    }

    private static JSONObject plain(Picture picture) throws Exception {
        return Json.of("height", picture.height, "width", picture.width, "data", plain(picture.data));
    }

    private static JSONArray plain(float[] values) throws Exception {
        JSONArray found = new JSONArray();
        for (float value : values) found.put((double) value);
        return found;
    }

    private static int[] pixels(JSONObject asked) throws Exception {
        JSONArray rgba = asked.getJSONArray("rgba");
        int[] pixels = new int[rgba.length() / 4];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = rgba.getInt(4 * i + 3) << 24;
            for (int c = 0; c < 3; c++) pixels[i] |= rgba.getInt(4 * i + c) << 16 - 8 * c;
        }
        return pixels;
    }

    private static JSONArray rgba(int[] pixels) {
        JSONArray found = new JSONArray();
        for (int pixel : pixels) {
            for (int shift : new int[] {16, 8, 0, 24}) found.put(pixel >>> shift & 0xff);
        }
        return found;
    }

    private static double[] runs(JSONObject asked) throws Exception {
        JSONArray values = asked.getJSONArray("runs");
        double[] runs = new double[values.length()];
        for (int i = 0; i < runs.length; i++) runs[i] = values.getDouble(i);
        return runs;
    }

    private static List<String> strings(JSONObject asked, String name) throws Exception {
        List<String> found = new ArrayList<>();
        for (int i = 0; i < asked.getJSONArray(name).length(); i++) found.add(asked.getJSONArray(name).getString(i));
        return found;
    }

    private static List<Reading> readings(JSONObject asked) throws Exception {
        List<Reading> found = new ArrayList<>();
        for (JSONObject each : Json.objects(asked, "readings")) {
            Reading reading = new Reading();
            if (each.has("clock_mhz")) reading.clockMhz = each.getDouble("clock_mhz");
            if (each.has("others_share")) reading.othersShare = each.getDouble("others_share");
            if (each.has("temperature_c")) reading.temperatureC = each.getDouble("temperature_c");
            if (each.has("thermal")) reading.thermalStatus = each.getInt("thermal");
            found.add(reading);
        }
        return found;
    }

    /** [tile][layer][expert], null for a number that is none, as lists of all scores of a tile. */
    private static List<float[]> tiles(JSONObject asked) throws Exception {
        List<float[]> found = new ArrayList<>();
        for (int i = 0; i < asked.getJSONArray("tiles").length(); i++) {
            List<Float> scores = new ArrayList<>();
            JSONArray layers = asked.getJSONArray("tiles").getJSONArray(i);
            for (int j = 0; j < layers.length(); j++) {
                for (int k = 0; k < layers.getJSONArray(j).length(); k++) {
                    scores.add((float) layers.getJSONArray(j).optDouble(k));
                }
            }
            float[] flat = new float[scores.size()];
            for (int j = 0; j < flat.length; j++) flat[j] = scores.get(j);
            found.add(flat);
        }
        return found;
    }

    private static JSONObject restored(JSONObject asked) throws Exception {
        JSONObject size = asked.optJSONObject("size");
        JSONArray told = new JSONArray();
        Outputs found = Tiles.restore(
                new AddsMean(size == null ? null : new int[] {size.getInt("height"), size.getInt("width")}),
                picture(asked.getJSONObject("picture")),
                (done, every) -> told.put(new JSONArray(Arrays.asList(done, every))));
        return Json.of(
                "restored", plain(found.restored),
                "agreement", found.agreement,
                "tiles", found.tiles.size(),
                "told", told);
    }

    /** Agrees as far as the first value says. */
    private static final class AddsMean implements Session {
        private final int[] size;

        AddsMean(int[] size) {
            this.size = size;
        }

        @Override
        public int[] size() {
            return size;
        }

        @Override
        public Outputs run(Picture picture) {
            double sum = 0;
            for (float value : picture.data) sum += value;
            float[] data = picture.data.clone();
            for (int i = 0; i < data.length; i++) data[i] += (float) (sum / data.length);
            List<float[]> scores = Collections.singletonList(new float[] {picture.data[0]});
            return new Outputs(new Picture(picture.height, picture.width, data), (double) picture.data[0], scores);
        }

        @Override
        public JSONObject runtime() {
            return new JSONObject();
        }

        @Override
        public Map<String, String> versions() {
            return Collections.emptyMap();
        }

        @Override
        public void close() {}
    }

    private static JSONObject requested(JSONObject asked) throws Exception {
        JSONObject words = asked.getJSONObject("words");
        Path folder = new File(asked.getString("folder")).toPath();
        Request request = new Request(
                name -> words.isNull(name) ? null : words.optString(name), Collections.singletonList(folder));
        Profiler.Options options = request.options();
        return Json.of(
                "out", request.file("out").getPath(),
                "runs", options.runs,
                "seconds", options.seconds,
                "size", options.size == null ? null : new JSONArray(options.size),
                "threads", request.number("threads", 0));
    }

    private static Bundle bundle(JSONObject asked) throws Exception {
        String device = asked.isNull("device") ? null : asked.getString("device");
        Bundle.Demand demand = new Bundle.Demand(device, asked.isNull("key") ? null : asked.getString("key"));
        return Bundle.open(new File(asked.getString("path")), new File(asked.getString("scratch")), demand);
    }

    private static JSONObject opened(JSONObject asked) throws Exception {
        Bundle bundle = bundle(asked);
        if (asked.has("runtime")) bundle.requireRuntime(asked.getString("runtime"));
        int[] size = bundle.size();
        return Json.of(
                "folder", bundle.folder.getPath(),
                "sha256", bundle.sha256,
                "model", bundle.model().getPath(),
                "tasks", new JSONArray(bundle.tasks()),
                "provider", bundle.provider(),
                "size", size == null ? null : new JSONArray(size));
    }

    private static String profiled(JSONObject asked) throws Exception {
        Profiler.Options options = new Profiler.Options();
        options.runs = asked.getInt("runs");
        options.appVersion = "0.1.0";
        List<String> command = strings(asked, "command");
        Session.Opener opener = (bundle, trace) -> new Piped(command, bundle, trace);
        File out = new File(asked.getString("out"));
        File trace = new File(asked.getString("scratch"), "trace");
        new Profiler(bundle(asked), opener, new Computer(), options).write(out, trace);
        return "written";
    }
}
