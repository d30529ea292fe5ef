package io.moceir.edge.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Values as Android's own org.json has them: what a file lacks is a Problem that names it. */
final class Json {
    private Json() {}

    static JSONObject parse(File file, byte[] bytes) throws Problem {
        try {
            return new JSONObject(new String(bytes, StandardCharsets.UTF_8));
        } catch (JSONException | StackOverflowError error) { // the reader goes one frame deeper for each bracket
            throw new Problem(file + ": damaged: it is no JSON object", "send the bundle again");
        }
    }

    static byte[] bytes(File file) throws Problem {
        try {
            return Files.readAllBytes(file.toPath());
        } catch (IOException error) {
            throw new Problem(file + " cannot be read", "send the bundle again");
        }
    }

    static String text(JSONObject object, String name) throws Problem {
        Object value = object.opt(name);
        if (value instanceof String) return (String) value;
        throw lacking(name);
    }

    static JSONObject object(JSONObject object, String name) throws Problem {
        JSONObject value = object.optJSONObject(name);
        if (value == null) throw lacking(name);
        return value;
    }

    static JSONArray array(JSONObject object, String name) throws Problem {
        JSONArray value = object.optJSONArray(name);
        if (value == null) throw lacking(name);
        return value;
    }

    static List<JSONObject> objects(JSONObject object, String name) throws Problem {
        JSONArray values = array(object, name);
        List<JSONObject> found = new ArrayList<>();
        for (int i = 0; i < values.length(); i++) {
            if (values.optJSONObject(i) == null) throw lacking(name);
            found.add(values.optJSONObject(i));
        }
        return found;
    }

    private static Problem lacking(String name) {
        return new Problem("damaged: `" + name + "` is missing or of another kind", "make the bundle again");
    }

    /** An object of names and values in turn; null is written as null, a number that is none is refused. */
    static JSONObject of(Object... pairs) {
        JSONObject object = new JSONObject();
        for (int i = 0; i < pairs.length; i += 2) put(object, (String) pairs[i], pairs[i + 1]);
        return object;
    }

    static void put(JSONObject object, String name, Object value) {
        try {
            object.put(name, value == null ? JSONObject.NULL : value);
        } catch (JSONException error) {
            throw new IllegalArgumentException(error);
        }
    }

    static String text(JSONObject object) {
        try {
            return object.toString(1) + "\n";
        } catch (JSONException error) {
            throw new IllegalArgumentException(error);
        }
    }
}
