package io.moceir.edge.core;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONObject;

/** A bundle whose every file is there, unaltered, and which is for this runner. */
public final class Bundle {
    static final int SCHEMA_VERSION = 1;
    private static final String MANIFEST = "manifest.json";
    private static final Set<String> UNLISTED = new HashSet<>(Arrays.asList(MANIFEST, "signature.json"));

    public final File folder;
    public final String sha256;
    public final JSONObject manifest;
    final JSONObject artifact;

    private Bundle(File folder, String sha256, JSONObject manifest) throws Problem {
        this.folder = folder;
        this.sha256 = sha256;
        this.manifest = manifest;
        File described = new File(folder, "artifact/artifact.json");
        artifact = Json.parse(described, Json.bytes(described));
    }

    /** What a bundle must be: made for this device, signed with this public key; null asks for neither. */
    public static final class Demand {
        final String device;
        final String key;

        public Demand(String device, String key) {
            this.device = device;
            this.key = key;
        }
    }

    /** Open a folder, or a .tar.gz that is unpacked into `scratch` (emptied before). */
    public static Bundle open(File given, File scratch, Demand demand) throws Problem {
        if (given.isDirectory()) return read(given, demand);
        if (!given.isFile()) throw new Problem("there is no bundle at " + given, "send it there first");
        Folder.renew(scratch);
        try {
            return read(Archive.unpack(given, scratch, scratch.getUsableSpace()), demand);
        } catch (Problem problem) {
            Folder.clear(scratch); // nothing half-unpacked stays
            throw problem;
        }
    }

    private static Bundle read(File folder, Demand demand) throws Problem {
        File file = new File(folder, MANIFEST);
        byte[] bytes = Json.bytes(file);
        JSONObject manifest = Json.parse(file, bytes);
        int version = manifest.optInt("schema_version", 0);
        if (version < 1) throw new Problem(file + ": damaged: it has no schema_version", "make the bundle again");
        if (version > SCHEMA_VERSION) {
            throw new Problem(file + ": schema " + version + " is newer than " + SCHEMA_VERSION, "install a newer app");
        }
        if (demand.key != null) Signed.check(folder, bytes, demand.key);
        String runner = Json.text(manifest, "runner");
        if (!runner.equals("android")) {
            throw new Problem("the bundle is for the runner " + runner, "make one with --device of an Android phone");
        }
        String device = Json.text(manifest, "device");
        if (demand.device != null && !demand.device.equals(device)) {
            throw new Problem("the bundle is for " + device, "make one with --device " + demand.device);
        }
        verify(folder, Json.object(manifest, "files"));
        return new Bundle(folder, Hashes.of(bytes), manifest);
    }

    /** Every file listed is there unaltered, and none is there that is not listed. */
    private static void verify(File folder, JSONObject files) throws Problem {
        Set<String> listed = new HashSet<>(UNLISTED);
        for (Iterator<String> names = files.keys(); names.hasNext(); ) {
            String name = names.next();
            listed.add(name);
            File file = new File(folder, name);
            try {
                if (!Folder.holds(folder, file)) throw altered("lists the path " + name);
                if (!file.isFile()) throw altered("lacks its file " + name);
                if (!Hashes.of(file).equals(Json.text(Json.object(files, name), "sha256"))) {
                    throw altered("has another file " + name + ": it was altered (its sha256 differs)");
                }
            } catch (IOException error) {
                throw new Problem(file + " cannot be read", "send the bundle again");
            }
        }
        for (String name : Folder.names(folder)) {
            if (!listed.contains(name)) throw altered("holds " + name + ", which its manifest does not list");
        }
    }

    private static Problem altered(String how) {
        return new Problem("the bundle " + how, "send it again");
    }

    public File model() throws Problem {
        return listed("artifact/" + Json.text(artifact, "model"));
    }

    /** A file that the manifest names, and whose hash was compared therefore. */
    private File listed(String name) throws Problem {
        if (!Json.object(manifest, "files").has(name)) {
            throw new Problem("damaged: " + name + " is none of the bundle's files", "make the bundle again");
        }
        return new File(folder, name);
    }

    /** That the runtime has a version which the bundle is for. */
    public void requireRuntime(String version) throws Problem {
        JSONObject needs = Json.object(manifest, "needs");
        String from = needs.isNull("from_version") ? null : Json.text(needs, "from_version");
        String below = needs.isNull("below_version") ? null : Json.text(needs, "below_version");
        String here = "this app has " + Json.text(needs, "runtime") + " " + version;
        if (from != null && Versions.compared(version, from) < 0) {
            throw new Problem(here + ", and the bundle needs " + from + " or later", "install a newer app");
        }
        if (below != null && Versions.compared(version, below) >= 0) {
            throw new Problem(here + ", and the bundle needs one below " + below, "use an older app");
        }
    }

    /** {height, width} that the model serves, null for any multiple of 8. */
    public int[] size() throws Problem {
        List<JSONObject> inputs = Json.objects(Json.object(artifact, "interface"), "inputs");
        if (inputs.size() != 1) {
            throw new Problem("the model asks for its gates", "export it without gates_input");
        }
        JSONArray shape = Json.array(inputs.get(0), "shape");
        int height = shape.optInt(2, 0);
        int width = shape.optInt(3, 0);
        return height > 0 && width > 0 ? new int[] {height, width} : null;
    }

    /** The execution provider that the recipe names first, in its words. */
    public String provider() {
        JSONObject recipe = artifact.optJSONObject("recipe");
        JSONObject onnx = recipe == null ? null : recipe.optJSONObject("onnx");
        JSONArray providers = onnx == null ? null : onnx.optJSONArray("providers");
        return providers == null ? "cpu" : providers.optString(0, "cpu");
    }

    public List<String> tasks() throws Problem {
        JSONArray tasks = Json.array(manifest, "tasks");
        List<String> found = new ArrayList<>();
        for (int i = 0; i < tasks.length(); i++) found.add(tasks.optString(i));
        return found;
    }

    /** Null where the model carries none. */
    public Guard guard() throws Problem {
        return artifact.isNull("guard") ? null : new Guard(Json.object(artifact, "guard"));
    }

    List<JSONObject> golden() throws Problem {
        return Json.objects(manifest, "golden");
    }

    /** A golden picture of a pair: `which` is input or reference. */
    Picture golden(JSONObject pair, String which) throws Problem {
        return Npy.read(listed(Json.text(pair, which)));
    }
}
