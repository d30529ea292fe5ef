package io.moceir.edge;

import android.app.ActivityManager;
import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.os.BatteryManager;
import android.os.Build;
import android.os.Debug;
import android.os.PowerManager;
import android.provider.Settings;
import io.moceir.edge.core.Battery;
import io.moceir.edge.core.Hashes;
import io.moceir.edge.core.Linux;
import io.moceir.edge.core.Machine;
import io.moceir.edge.core.Reading;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.json.JSONException;
import org.json.JSONObject;

/** The phone as Android tells an app. Not verified on a device. */
final class Phone implements Machine {
    private static final double MIB = 1 << 20;

    private final Context context;
    private final PowerManager power;
    private final BatteryManager battery;
    private final Linux linux = new Linux(new File("/"));
    private boolean charged;

    Phone(Context context) {
        this.context = context;
        power = context.getSystemService(PowerManager.class);
        battery = context.getSystemService(BatteryManager.class);
    }

    @Override
    public JSONObject facts(String profile) {
        ActivityManager.MemoryInfo memory = new ActivityManager.MemoryInfo();
        context.getSystemService(ActivityManager.class).getMemoryInfo(memory);
        String governor = linux.governor();
        try {
            return new JSONObject()
                    .put("profile", profile)
                    .put("model", Build.MANUFACTURER + " " + Build.MODEL)
                    .put("system", "Android " + Build.VERSION.RELEASE + " (API " + Build.VERSION.SDK_INT + ")")
                    .put("processor", processor())
                    .put("cores", Runtime.getRuntime().availableProcessors())
                    .put("memory_mib", memory.totalMem / MIB)
                    .put("serial_sha256", serial())
                    .put("emulated", Build.HARDWARE.equals("ranchu") || Build.HARDWARE.equals("goldfish"))
                    .put("clocks", governor == null ? JSONObject.NULL : governor);
        } catch (JSONException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String processor() {
        return Build.VERSION.SDK_INT >= 31 ? Build.SOC_MANUFACTURER + " " + Build.SOC_MODEL : Build.HARDWARE;
    }

    /** ANDROID_ID tells two phones apart, and is of this app alone. */
    private String serial() {
        String id = Settings.Secure.getString(context.getContentResolver(), Settings.Secure.ANDROID_ID);
        return Hashes.of(("moceir-edge " + id).getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public Reading read() {
        Intent state = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        boolean plugged = state != null && state.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0;
        int millivolts = state == null ? 0 : state.getIntExtra(BatteryManager.EXTRA_VOLTAGE, 0);
        int tenths = state == null ? 0 : state.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, 0);
        charged |= plugged;
        Reading reading = new Reading();
        reading.clockMhz = linux.clockMhz();
        reading.othersShare = linux.waitingShare();
        reading.thermalStatus = power.getCurrentThermalStatus();
        reading.temperatureC = tenths == 0 ? null : tenths / 10.0;
        reading.powerW = Battery.watts(
                battery.getIntProperty(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW), millivolts, plugged);
        return reading;
    }

    @Override
    public Double memoryPeakMib() {
        return linux.memoryMib("VmHWM");
    }

    @Override
    public Double memoryMib() {
        return linux.memoryMib("VmRSS");
    }

    @Override
    public List<String> obstacles() {
        return power.isPowerSaveMode() ? Collections.singletonList("the battery saver is on") : Collections.emptyList();
    }

    @Override
    public List<String> notes() {
        List<String> notes = new ArrayList<>();
        notes.add("temperatures are the battery's; others' share is the time in which our threads waited for a core");
        notes.add(text("at the end: native heap %.0f MiB, PSS %.0f MiB",
                Debug.getNativeHeapAllocatedSize() / MIB, Debug.getPss() / 1024.0));
        float headroom = Build.VERSION.SDK_INT >= 30 ? power.getThermalHeadroom(0) : Float.NaN;
        if (!Float.isNaN(headroom)) notes.add(text("thermal headroom at the end: %.2f (1 is severe heat)", headroom));
        boolean sustained = power.isSustainedPerformanceModeSupported();
        notes.add("sustained performance mode: " + (sustained ? "on" : "this phone has none"));
        if (charged) notes.add("it was plugged in, so what it takes is not known: use adb over Wi-Fi, unplugged");
        return notes;
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    @Override
    public String powerSource() {
        return "BatteryManager, the whole phone, its screen included";
    }
}
