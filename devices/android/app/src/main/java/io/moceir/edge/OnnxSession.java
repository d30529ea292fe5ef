package io.moceir.edge;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.moceir.edge.core.Bundle;
import io.moceir.edge.core.Outputs;
import io.moceir.edge.core.Picture;
import io.moceir.edge.core.Problem;
import io.moceir.edge.core.Session;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import org.json.JSONException;
import org.json.JSONObject;

/** ONNX Runtime on the CPU, or with XNNPACK or NNAPI for what they take of the model. Not verified on a device. */
final class OnnxSession implements Session {
    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession.SessionOptions options;
    private final OrtSession session;
    private final int[] size;
    private final String provider;
    private final int threads;
    private final boolean traced;

    /** What computes, by the names that recipes and intents use, in upper case. */
    enum Provider {
        CPU("CPUExecutionProvider"),
        XNNPACK("XnnpackExecutionProvider"),
        NNAPI("NnapiExecutionProvider");

        final String name;

        Provider(String name) {
            this.name = name;
        }

        static Provider of(String word) throws Problem {
            for (Provider provider : values()) {
                if (provider.toString().equals(word.toUpperCase(Locale.ROOT))) return provider;
            }
            throw new Problem("this app has no provider " + word, "give cpu, xnnpack or nnapi");
        }
    }

    /** word: a provider, null for the one that the bundle's recipe names; threads: 0 for the library's choice. */
    static Opener opener(String word, int threads) {
        return (bundle, trace) -> {
            try {
                return new OnnxSession(bundle, Provider.of(word == null ? bundle.provider() : word), threads, trace);
            } catch (OrtException error) {
                throw new Problem("ONNX Runtime does not open the model: " + error.getMessage(), "export it again");
            }
        };
    }

    private OnnxSession(Bundle bundle, Provider provider, int threads, File trace) throws OrtException, Problem {
        bundle.requireRuntime(environment.getVersion());
        this.provider = provider.name;
        this.threads = threads;
        size = bundle.size();
        traced = trace != null;
        options = new OrtSession.SessionOptions();
        if (threads > 0) options.setIntraOpNumThreads(threads);
        if (provider == Provider.XNNPACK) addXnnpack();
        if (provider == Provider.NNAPI) options.addNnapi();
        if (traced) options.enableProfiling(new File(trace, "operators").getPath());
        session = environment.createSession(bundle.model().getPath(), options);
    }

    /** With threads of its own: those of the library would be in their way, says its page in the documentation. */
    private void addXnnpack() throws OrtException {
        int own = threads > 0 ? threads : Runtime.getRuntime().availableProcessors() / 2;
        options.addConfigEntry("session.intra_op.allow_spinning", "0");
        options.setIntraOpNumThreads(1);
        options.addXnnpack(Collections.singletonMap("intra_op_num_threads", String.valueOf(Math.max(1, own))));
    }

    @Override
    public int[] size() {
        return size;
    }

    @Override
    public Outputs run(Picture picture) throws Problem {
        long[] shape = {1, 3, picture.height, picture.width};
        try (OnnxTensor image = OnnxTensor.createTensor(environment, direct(picture.data), shape);
                OrtSession.Result found = session.run(Collections.singletonMap("image", image))) {
            Picture restored = new Picture(picture.height, picture.width, values(found, "restored"));
            float[] agreement = values(found, "agreement");
            float[] scores = values(found, "scores");
            return new Outputs(
                    restored,
                    agreement == null ? null : (double) agreement[0],
                    scores == null ? Collections.emptyList() : Collections.singletonList(scores));
        } catch (OrtException error) {
            throw new Problem("ONNX Runtime fails: " + error.getMessage(), "take a smaller picture, or export again");
        }
    }

    private static FloatBuffer direct(float[] data) {
        FloatBuffer buffer = ByteBuffer.allocateDirect(4 * data.length).order(ByteOrder.nativeOrder()).asFloatBuffer();
        buffer.put(data).rewind();
        return buffer;
    }

    /** null where the model has no such output. */
    private static float[] values(OrtSession.Result found, String name) {
        OnnxValue value = found.get(name).orElse(null);
        if (value == null) return null;
        FloatBuffer buffer = ((OnnxTensor) value).getFloatBuffer();
        float[] data = new float[buffer.remaining()];
        buffer.get(data);
        return data;
    }

    @Override
    public JSONObject runtime() {
        try {
            return new JSONObject()
                    .put("name", "onnxruntime")
                    .put("version", environment.getVersion())
                    .put("provider", provider)
                    .put("threads", threads > 0 ? (Object) threads : JSONObject.NULL);
        } catch (JSONException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public Map<String, String> versions() {
        return Collections.singletonMap("onnxruntime-android", environment.getVersion());
    }

    @Override
    public void close() throws Problem {
        try {
            if (traced) session.endProfiling();
            session.close();
            options.close();
        } catch (OrtException error) {
            throw new Problem("ONNX Runtime does not close: " + error.getMessage(), "start the app again");
        }
    }
}
