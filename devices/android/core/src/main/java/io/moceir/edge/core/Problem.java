package io.moceir.edge.core;

/** What is wrong with what was given, and what to do: one line for people. */
public final class Problem extends Exception {
    private static final long serialVersionUID = 1;

    public Problem(String what, String repair) {
        super(oneLine(what) + "; " + repair);
    }

    /** Any error as one line: what a library said may have several. */
    public static String line(Throwable error) {
        return error instanceof Problem ? error.getMessage() : oneLine(String.valueOf(error));
    }

    private static String oneLine(String text) {
        return text.trim().replaceAll("\\s+", " ");
    }
}
