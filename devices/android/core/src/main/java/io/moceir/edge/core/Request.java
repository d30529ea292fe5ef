package io.moceir.edge.core;

import java.io.File;
import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;

/** What a profile is asked with: words by name, as the extras of an intent are, from whoever starts the app. */
public final class Request {
    private final UnaryOperator<String> words;
    private final List<Path> folders;

    /** words: null for a name that is not there. folders: those that files may lie in. */
    public Request(UnaryOperator<String> words, List<Path> folders) {
        this.words = words;
        this.folders = folders;
    }

    /** Null where it is not asked for. */
    public String word(String name) {
        return words.apply(name);
    }

    /** A file in one of the folders. */
    public File file(String name) throws Problem {
        String given = word(name);
        if (given == null) throw new Problem(name + " is missing", "give --es " + name + " FILE");
        Path path = new File(given).toPath().normalize();
        for (Path folder : folders) {
            if (path.startsWith(folder) && !path.equals(folder)) return path.toFile();
        }
        throw new Problem(name + " " + given + " is outside of the app's folder", "put it below " + folders.get(0));
    }

    public Profiler.Options options() throws Problem {
        Profiler.Options options = new Profiler.Options();
        options.runs = number("runs", options.runs);
        options.seconds = number("seconds", (int) options.seconds);
        options.size = size();
        return options;
    }

    public int number(String name, int otherwise) throws Problem {
        String given = word(name);
        if (given == null) return otherwise;
        if (!given.matches("\\d{1,6}")) throw new Problem(name + " " + given + " is no number", "give up to 6 digits");
        return Integer.parseInt(given);
    }

    private int[] size() throws Problem {
        String given = word("size");
        if (given == null) return null;
        if (!given.matches("[1-9]\\d{0,4}x[1-9]\\d{0,4}")) {
            throw new Problem("size " + given + " is none", "give HxW, as 256x256");
        }
        String[] sides = given.split("x");
        return new int[] {Integer.parseInt(sides[0]), Integer.parseInt(sides[1])};
    }
}
