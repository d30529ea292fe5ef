package io.moceir.edge.core;

import java.io.File;
import java.util.Collections;
import java.util.List;
import org.json.JSONObject;

/** The computer that runs the tests, as far as its Linux tells. */
final class Computer implements Machine {
    private final Linux linux = new Linux(new File("/"));

    @Override
    public JSONObject facts(String profile) {
        return Json.of(
                "profile", profile,
                "model", "a computer",
                "system", System.getProperty("os.name"),
                "processor", System.getProperty("os.arch"),
                "cores", Runtime.getRuntime().availableProcessors(),
                "memory_mib", null,
                "serial_sha256", null,
                "emulated", true,
                "clocks", linux.governor());
    }

    @Override
    public Reading read() {
        Reading reading = new Reading();
        reading.clockMhz = linux.clockMhz();
        reading.othersShare = linux.waitingShare();
        reading.powerW = Battery.watts(-500_000, 4_000, false); // 2 W: no computer tells an app its battery's current
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
        return Collections.emptyList();
    }

    @Override
    public List<String> notes() {
        return Collections.singletonList("the core on a JVM");
    }

    @Override
    public String powerSource() {
        return "made up";
    }
}
