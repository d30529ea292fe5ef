package io.moceir.edge.core;

import java.util.ArrayList;
import java.util.List;

/** Reads the device every half second until it is finished. */
final class Sampler {
    static final long EVERY_MS = 500;

    private final List<Reading> readings = new ArrayList<>();
    private final Machine machine;
    private final Thread thread;

    Sampler(Machine machine) {
        this.machine = machine;
        Reading first = machine.read();
        first.othersShare = null; // it would be of the time before
        readings.add(first);
        thread = new Thread(this::run);
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        try {
            while (true) {
                Thread.sleep(EVERY_MS);
                readings.add(machine.read());
            }
        } catch (InterruptedException finished) {
            // nothing is left to do
        }
    }

    /** All readings, one of now among them. */
    List<Reading> finish() throws Problem {
        thread.interrupt();
        try {
            thread.join();
        } catch (InterruptedException error) {
            throw new Problem("interrupted", "start again");
        }
        readings.add(machine.read());
        return readings;
    }
}
