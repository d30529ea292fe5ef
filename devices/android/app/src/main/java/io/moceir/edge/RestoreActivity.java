package io.moceir.edge;

import android.app.Activity;
import android.content.Intent;
import android.graphics.Bitmap;
import android.net.Uri;
import android.view.View;
import android.widget.ImageView;
import android.widget.ProgressBar;
import android.widget.TextView;
import io.moceir.edge.core.Bundle;
import io.moceir.edge.core.Guard;
import io.moceir.edge.core.Outputs;
import io.moceir.edge.core.Picture;
import io.moceir.edge.core.Problem;
import io.moceir.edge.core.Session;
import io.moceir.edge.core.Tiles;
import java.io.File;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Choose a picture, restore it, see before and after, save it; a warning where it is not of the model's tasks.
 *
 * <p>The model is the bundle.tar.gz in the app's own folder. Not verified on a device.
 */
public final class RestoreActivity extends Activity {
    private static final int CHOOSE = 1;
    private static final int SAVE = 2;

    /** One thing at a time; only this thread touches the session. */
    private final ExecutorService worker = Executors.newSingleThreadExecutor();

    private Session session;
    private Guard guard;
    private String tasks;
    private Bitmap before;
    private Bitmap after;
    private boolean showsAfter;

    @Override
    protected void onCreate(android.os.Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.restore);
        on(R.id.choose, () -> ask(new Intent(Intent.ACTION_OPEN_DOCUMENT).setType("image/*"), CHOOSE));
        on(R.id.save, () -> ask(new Intent(Intent.ACTION_CREATE_DOCUMENT).setType("image/png"), SAVE));
        on(R.id.compare, () -> show(!showsAfter));
        say(getString(R.string.opening));
        inTurn(this::open);
    }

    @Override
    protected void onDestroy() {
        super.onDestroy();
        inTurn(() -> {
            if (session != null) session.close();
        });
        worker.shutdown();
    }

    @Override
    protected void onActivityResult(int request, int result, Intent chosen) {
        if (result != RESULT_OK || chosen == null || chosen.getData() == null) return;
        Uri uri = chosen.getData();
        if (request == CHOOSE) inTurn(() -> restore(uri));
        else inTurn(() -> save(uri));
    }

    private void ask(Intent intent, int request) {
        startActivityForResult(intent.addCategory(Intent.CATEGORY_OPENABLE), request);
    }

    private void on(int button, Runnable action) {
        findViewById(button).setOnClickListener(view -> action.run());
    }

    /** What may end with a Problem. */
    private interface Work {
        void run() throws Problem;
    }

    private void inTurn(Work work) {
        worker.execute(() -> {
            try {
                work.run();
            } catch (Problem | RuntimeException | OutOfMemoryError | LinkageError error) {
                runOnUiThread(() -> {
                    say(Problem.line(error));
                    visible(R.id.progress, false);
                });
            }
        });
    }

    private void open() throws Problem {
        File given = new File(getExternalFilesDir(null), "bundle.tar.gz");
        Bundle bundle = Bundle.open(given, new File(getCacheDir(), "restore"), new Bundle.Demand(null, null));
        tasks = String.join(", ", bundle.tasks());
        guard = bundle.guard();
        session = OnnxSession.opener(null, 0).open(bundle, null);
        runOnUiThread(() -> say(getString(R.string.ready, tasks)));
    }

    private void restore(Uri uri) throws Problem {
        if (session == null) open();
        Bitmap given = Photos.read(getContentResolver(), uri);
        int[] pixels = Photos.pixels(given);
        long begin = System.nanoTime();
        Picture picture = Picture.fromPixels(pixels, given.getHeight(), given.getWidth());
        Outputs outputs = Tiles.restore(session, picture, this::progress);
        double seconds = (System.nanoTime() - begin) / 1e9;
        Bitmap restored = Photos.restored(outputs.restored, pixels);
        String warning = guard == null || outputs.tiles.isEmpty() ? null : guard.warning(outputs, tasks);
        runOnUiThread(() -> restored(given, restored, warning, seconds));
    }

    private void progress(int done, int every) {
        runOnUiThread(() -> {
            ProgressBar bar = findViewById(R.id.progress);
            bar.setMax(every);
            bar.setProgress(done);
            visible(R.id.progress, done < every);
            say(getString(R.string.restoring, done, every));
        });
    }

    private void restored(Bitmap given, Bitmap restored, String warning, double seconds) {
        before = given;
        after = restored;
        TextView text = findViewById(R.id.warning);
        text.setText(warning);
        visible(R.id.warning, warning != null);
        visible(R.id.compare, true);
        visible(R.id.save, true);
        say(getString(R.string.restored, given.getWidth(), given.getHeight(), seconds));
        show(true);
    }

    private void show(boolean wanted) {
        showsAfter = wanted;
        ImageView picture = findViewById(R.id.picture);
        picture.setImageBitmap(wanted ? after : before);
        picture.setContentDescription(getString(wanted ? R.string.after : R.string.before));
    }

    private void save(Uri uri) throws Problem {
        Photos.write(getContentResolver(), uri, after);
        runOnUiThread(() -> say(getString(R.string.saved)));
    }

    private void visible(int id, boolean wanted) {
        findViewById(id).setVisibility(wanted ? View.VISIBLE : View.GONE);
    }

    private void say(String text) {
        TextView status = findViewById(R.id.status);
        status.setText(text);
    }
}
