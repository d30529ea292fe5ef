package io.moceir.edge.core;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.json.JSONException;
import org.json.JSONObject;

/** A real model on a JVM that has no onnxruntime for Java: Python's computes it in a process beside. */
final class Piped implements Session {
    private final Process process;
    private final DataOutputStream to;
    private final DataInputStream from;
    private final int[] size;
    private final String version;

    Piped(List<String> command, Bundle bundle, File trace) throws Problem {
        List<String> words = new ArrayList<>(command);
        words.add(bundle.model().getPath());
        if (trace != null) words.add(trace.getPath());
        try {
            process = new ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            to = new DataOutputStream(new BufferedOutputStream(process.getOutputStream()));
            from = new DataInputStream(process.getInputStream());
            version = from.readUTF();
        } catch (IOException error) {
            throw new Problem("the process beside: " + error, "see what it printed");
        }
        bundle.requireRuntime(version);
        size = bundle.size();
    }

    @Override
    public int[] size() {
        return size;
    }

    @Override
    public Outputs run(Picture picture) throws Problem {
        try {
            to.writeInt(picture.height);
            to.writeInt(picture.width);
            ByteBuffer bytes = ByteBuffer.allocate(4 * picture.data.length);
            bytes.asFloatBuffer().put(picture.data);
            to.write(bytes.array());
            to.flush();
            Picture restored = new Picture(picture.height, picture.width);
            floats(restored.data.length).get(restored.data);
            double agreement = from.readFloat();
            float[] scores = new float[from.readInt()];
            floats(scores.length).get(scores);
            return new Outputs(restored, agreement, Collections.singletonList(scores));
        } catch (IOException error) {
            throw new Problem("the process beside: " + error, "see what it printed");
        }
    }

    private FloatBuffer floats(int count) throws IOException {
        byte[] bytes = new byte[4 * count];
        from.readFully(bytes);
        return ByteBuffer.wrap(bytes).asFloatBuffer();
    }

    @Override
    public JSONObject runtime() {
        try {
            return new JSONObject()
                    .put("name", "onnxruntime")
                    .put("version", version)
                    .put("provider", "CPUExecutionProvider")
                    .put("threads", 1);
        } catch (JSONException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public Map<String, String> versions() {
        return Collections.singletonMap("onnxruntime", version);
    }

    @Override
    public void close() throws Problem {
        try {
            to.close();
            process.waitFor();
        } catch (IOException | InterruptedException error) {
            throw new Problem("the process beside: " + error, "see what it printed");
        }
    }
}
