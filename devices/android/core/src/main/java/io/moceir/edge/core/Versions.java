package io.moceir.edge.core;

/** Versions as numbers with points; what stands between them is left out. */
final class Versions {
    private Versions() {}

    /** Below 0, 0 or above 0, as one is older than, equal to or newer than the other. */
    static int compared(String one, String other) {
        String[] ones = one.split("[^0-9]+");
        String[] others = other.split("[^0-9]+");
        for (int i = 0; i < Math.max(ones.length, others.length); i++) {
            int order = Integer.compare(number(ones, i), number(others, i));
            if (order != 0) return order;
        }
        return 0;
    }

    private static int number(String[] parts, int i) {
        return i < parts.length && !parts[i].isEmpty() ? Integer.parseInt(parts[i]) : 0;
    }
}
