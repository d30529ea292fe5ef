"""Films: video files, and folders of frames, restored with one route; written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from moceir_edge.data.images import PictureSamples, bits_in_file, read_samples, samples_from_picture, write_samples
from moceir_edge.errors import OutputError
from moceir_edge.records import replacing_file
from moceir_edge.runner import Image
from moceir_edge.streaming.flow import WritingBehind, ahead, reading_ahead
from moceir_edge.streaming.frames import Film, FrameRestorer
from moceir_edge.streaming.video_reading import Frame, VideoReader
from moceir_edge.streaming.video_writing import VideoWriter
from moceir_edge.terms import Progress


def check_film(source: Path) -> None:
    """PictureError if a video cannot be opened; whether it can be read to its end is seen on the way."""
    if not source.is_dir():
        with VideoReader(source):
            pass


def restore_film(
    restorer: FrameRestorer,
    source: Path,
    frames: Mapping[Path, Path],
    written: dict[str, str],
    *,
    progress: Progress,
    say: Callable[[str], None],
) -> Film:
    """A video, or a folder with the places of its frames; each file that is written is added to `written`."""
    if source.is_dir():
        return restore_sequence(restorer, frames, written, progress=progress)
    film = restore_video(restorer, source, frames[source], progress=progress, say=say)
    written[str(source)] = str(frames[source])
    return film


def restore_video(
    restorer: FrameRestorer, source: Path, place: Path, *, progress: Progress, say: Callable[[str], None]
) -> Film:
    """A video file to another of the same kind: rate, times, colours, shape of pixels, sound and subtitles stay.

    Turned frames become upright; what is left out is said, and in `Film`. Decoding, restoring and encoding overlap.
    PictureError for a file that cannot be read to its end.
    """
    with VideoReader(source) as reader, replacing_file(place) as temporary:
        writer = VideoWriter(temporary, reader)
        for text in writer.left_out:
            say(f"{source}: {text}")
        whole = False
        try:
            _through(restorer, reader, writer, progress=progress)
            whole = True
            writer.close(whole=True)
        except reader.av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OutputError(f"{place}: cannot be written: {error}", "give a video in an .mp4 or .mkv") from error
        finally:
            if not whole:
                writer.close(whole=False)
    return restorer.film.model_copy(update={"left_out": tuple(writer.left_out)})


def _through(restorer: FrameRestorer, reader: VideoReader, writer: VideoWriter, *, progress: Progress) -> None:
    steps = progress(range(reader.announced), "restoring frames") if reader.announced else iter(())
    # Closed here: after an error the thread that decodes has ended before the file is closed.
    with closing(ahead(iter(reader))) as items, WritingBehind() as writing:
        for item in items:
            if not isinstance(item, Frame):
                writing.store(partial(writer.copy, item))
                continue
            next(steps, None)
            name = f"{reader.path}: frame {restorer.frames + 1}"
            restored = restorer.restore(item.pixels, name)
            writing.store(partial(writer.write, restored, item.pts, item.aspect))
        for _ in steps:
            pass


def restore_sequence(
    restorer: FrameRestorer, places: Mapping[Path, Path], written: dict[str, str], *, progress: Progress
) -> Film:
    """Pictures in the order of their names as the frames of a film; all have the same size.

    written: places by source; each is added when its file is begun, which is then finished. A frame that cannot be
    read, or has another size, ends it: PictureError names it. Each file is whole or absent.
    """
    sources = list(places)
    with reading_ahead(sources, read_samples) as pictures, WritingBehind() as writing:
        for source in progress(sources, "restoring frames"):
            picture = next(pictures)()
            restored = restorer.restore(picture.region(0, 0, picture.size), f"{source}:")
            writing.store(partial(_write, picture, restored, places[source]))
            written[str(source)] = str(places[source])
    return restorer.film


def _write(picture: PictureSamples, restored: Image, place: Path) -> None:
    bits = bits_in_file(place, bits=picture.bits, alpha=picture.alpha is not None)
    whole = picture.picture(np.clip(restored, 0, 1))
    write_samples(samples_from_picture(whole, bits=bits), place, icc_profile=picture.icc_profile)
