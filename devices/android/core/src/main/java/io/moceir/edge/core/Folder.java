package io.moceir.edge.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Folders and files as a whole. */
public final class Folder {
    private Folder() {}

    /** Whether a file lies in a folder, links followed. */
    static boolean holds(File folder, File file) throws IOException {
        return file.getCanonicalPath().startsWith(folder.getCanonicalPath() + File.separator);
    }

    /** Everything below that is no folder, by its path from there. */
    static List<String> names(File folder) throws Problem {
        try (Stream<Path> paths = Files.walk(folder.toPath())) {
            return paths.filter(path -> !Files.isDirectory(path))
                    .map(path -> folder.toPath().relativize(path).toString())
                    .collect(Collectors.toList());
        } catch (IOException error) {
            throw new Problem(folder + " cannot be read", "send the bundle again");
        }
    }

    /** An empty one, whatever was there. */
    static void renew(File folder) throws Problem {
        clear(folder);
        if (!folder.mkdirs()) throw new Problem(folder + " cannot be made", "free some space");
    }

    /** Remove it and all below it. */
    public static void clear(File folder) throws Problem {
        if (!folder.exists()) return;
        try (Stream<Path> paths = Files.walk(folder.toPath())) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).collect(Collectors.toList())) Files.delete(path);
        } catch (IOException error) {
            throw new Problem(folder + " cannot be removed", "remove it by hand");
        }
    }

    /** A file that appears only when it is whole, with the folder that it lies in. */
    public static void write(File file, String text) throws Problem {
        File unfinished = new File(file.getAbsoluteFile().getParentFile(), ".moceir-edge-" + file.getName());
        try {
            Files.createDirectories(unfinished.getParentFile().toPath());
            Files.write(unfinished.toPath(), text.getBytes(StandardCharsets.UTF_8));
            Files.move(
                    unfinished.toPath(),
                    file.toPath(),
                    StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException error) {
            unfinished.delete();
            throw new Problem(file + " cannot be written: " + error.getMessage(), "free some space");
        }
    }
}
