package io.moceir.edge.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What Linux tells an app of itself below /proc and /sys; null for what is not there, or is not for us. */
public final class Linux {
    private final File root;
    private double ranBefore;
    private double waitedBefore;

    /** root: / on a device. */
    public Linux(File root) {
        this.root = root;
    }

    /** `VmHWM` (peak) or `VmRSS` (now) of this process. */
    public Double memoryMib(String name) {
        Matcher found = Pattern.compile("(?m)^" + name + ":\\s*(\\d+) kB").matcher(text(file("proc/self/status")));
        return found.find() ? Double.parseDouble(found.group(1)) / 1024 : null;
    }

    /** Of the fastest core now, which is the one that works. */
    public Double clockMhz() {
        Double fastest = null;
        for (File core : children("sys/devices/system/cpu")) {
            if (!core.getName().matches("cpu\\d+")) continue;
            String kilohertz = text(new File(core, "cpufreq/scaling_cur_freq"));
            if (!kilohertz.matches("\\d+")) continue;
            double megahertz = Double.parseDouble(kilohertz) / 1e3;
            if (fastest == null || megahertz > fastest) fastest = megahertz;
        }
        return fastest;
    }

    /** How the clocks are set. */
    public String governor() {
        String name = text(file("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
        return name.isEmpty() ? null : "cpufreq governor " + name;
    }

    /**
     * Since the last call, the share of the time in which our threads could have worked that they waited for a core:
     * what others take from us. Android shows apps no /proc/stat, but `schedstat` of their own threads, whose first two
     * numbers are nanoseconds on a core and in its queue (Documentation/scheduler/sched-stats.rst of Linux).
     */
    public Double waitingShare() {
        double ran = 0;
        double waited = 0;
        for (File thread : children("proc/self/task")) {
            String[] numbers = text(new File(thread, "schedstat")).split(" ");
            if (numbers.length < 3) continue; // it ended meanwhile
            ran += Double.parseDouble(numbers[0]);
            waited += Double.parseDouble(numbers[1]);
        }
        double more = Math.max(0, waited - waitedBefore);
        double all = Math.max(0, ran - ranBefore) + more;
        ranBefore = ran;
        waitedBefore = waited;
        return all == 0 ? null : more / all;
    }

    private File file(String name) {
        return new File(root, name);
    }

    private File[] children(String name) {
        File[] found = file(name).listFiles();
        return found == null ? new File[0] : found;
    }

    private static String text(File file) {
        try {
            return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8).trim();
        } catch (IOException notThere) {
            return "";
        }
    }
}
