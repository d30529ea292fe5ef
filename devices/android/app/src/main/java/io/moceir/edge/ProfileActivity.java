package io.moceir.edge;

import android.app.Activity;
import android.content.Intent;
import android.os.PowerManager;
import android.widget.TextView;
import io.moceir.edge.core.Bundle;
import io.moceir.edge.core.Folder;
import io.moceir.edge.core.Problem;
import io.moceir.edge.core.Profiler;
import io.moceir.edge.core.Request;
import io.moceir.edge.core.Session;
import java.io.File;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Profiles a bundle: `am start -W -n io.moceir.edge/.ProfileActivity --es bundle FILE --es out RESULT`.
 *
 * <p>Both lie below the app's own folder, /sdcard/Android/data/io.moceir.edge/files. RESULT appears when it is whole;
 * what went wrong instead is one line in error.txt beside it. More of --es: provider (cpu, xnnpack, nnapi), threads,
 * runs, seconds, size (HxW), device (the profile that the bundle must be for), key (the public key that must have
 * signed it).
 *
 * <p>Not verified on a device.
 */
public final class ProfileActivity extends Activity {
    private final AtomicBoolean busy = new AtomicBoolean();

    @Override
    protected void onCreate(android.os.Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.profile);
        getWindow().getDecorView().setKeepScreenOn(true);
        if (getSystemService(PowerManager.class).isSustainedPerformanceModeSupported()) {
            getWindow().setSustainedPerformanceMode(true);
        }
        start();
    }

    /** Asked again while it is shown. */
    @Override
    protected void onNewIntent(Intent intent) {
        setIntent(intent);
        start();
    }

    /** One profile at a time; what is asked meanwhile is not done. */
    private void start() {
        if (busy.getAndSet(true)) return;
        say(getString(R.string.profiling));
        new Thread(this::work).start();
    }

    /** Anybody may start this, so files lie in the app's own folder, by either of its names. */
    private Request request() throws Problem {
        File folder = getExternalFilesDir(null);
        if (folder == null) throw new Problem("the phone's storage is not there", "start the phone again");
        File linked = new File("/sdcard/Android/data/" + getPackageName() + "/files");
        return new Request(getIntent()::getStringExtra, Arrays.asList(folder.toPath(), linked.toPath()));
    }

    private void work() {
        File out = null;
        try {
            Request request = request();
            out = request.file("out");
            profile(request, out);
            told(getString(R.string.profiled, out));
        } catch (Exception | OutOfMemoryError | LinkageError error) {
            told(Problem.line(error));
            if (out != null) complain(new File(out.getParentFile(), "error.txt"), Problem.line(error));
        } finally {
            busy.set(false);
        }
    }

    private void profile(Request request, File out) throws Problem {
        File given = request.file("bundle");
        Profiler.Options options = request.options();
        options.appVersion = getString(R.string.version);
        Session.Opener opener = OnnxSession.opener(request.word("provider"), request.number("threads", 0));
        Bundle.Demand demand = new Bundle.Demand(request.word("device"), request.word("key"));
        File scratch = new File(getCacheDir(), "profile");
        try {
            Bundle bundle = Bundle.open(given, new File(scratch, "bundle"), demand);
            new Profiler(bundle, opener, new Phone(this), options).write(out, new File(scratch, "trace"));
        } finally {
            Folder.clear(scratch);
        }
    }

    private void complain(File file, String line) {
        try {
            Folder.write(file, line + "\n");
        } catch (Problem second) {
            told(line + "; " + Problem.line(second));
        }
    }

    private void told(String text) {
        runOnUiThread(() -> say(text));
    }

    private void say(String text) {
        TextView status = findViewById(R.id.status);
        status.setText(text);
    }
}
