"""Restoring pictures and folders of pictures with anything that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from moceir_edge.data.images import PictureSamples, bits_in_file, read_samples, write_samples
from moceir_edge.errors import InputError, PictureError
from moceir_edge.guarding import Verdict
from moceir_edge.opening import Opened, open_path
from moceir_edge.records import Record
from moceir_edge.runner import check_threads, torch_threads
from moceir_edge.streaming.budget import Budget, memory_of
from moceir_edge.streaming.decision import Cut
from moceir_edge.streaming.flow import WritingBehind, reading_ahead
from moceir_edge.streaming.frames import Film, FrameRestorer
from moceir_edge.streaming.picture import Restorer
from moceir_edge.streaming.places import NAME_VIDEOS, films_of, places_of, videos_in
from moceir_edge.streaming.video import check_film, restore_film
from moceir_edge.terms import SIZE_MULTIPLE, Progress, Task, silent
from moceir_edge.tile_plan import OVERLAP, SEAMLESS, Size, smaller
from moceir_edge.watching import guarded, judged


class RestoredFiles(Record):
    """Pictures that were written, by input; skipped: inputs that were passed over, with the reason.

    cut: how those that were restored in tiles were cut, by input; films: what became of videos and sequences; guard:
    what the artifact's guard says of the inputs (in tiles of one route, of the picture made small; of a film, of the
    frames that decided), empty without one.
    """

    written: dict[str, str]
    skipped: dict[str, str]
    cut: dict[str, Cut]
    films: dict[str, Film]
    guard: dict[str, Verdict]

    @property
    def text(self) -> str:
        """For people: files, then what is told of tiles and films."""
        lines = [f"{source} -> {place}" for source, place in self.written.items()]
        lines.extend(f"{source}: {cut.text}" for source, cut in self.cut.items())
        lines.extend(f"{source}: {film.text}" for source, film in self.films.items())
        return "\n".join(lines) or "nothing was restored"


def restore(
    path: Path,
    pictures: Sequence[Path],
    out: Path,
    *,
    task: Task | None = None,
    tile: int | None = None,
    memory_mib: float | None = None,
    threads: int | None = None,
    strength: float = 1.0,
    sequence: bool = False,
    force: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> RestoredFiles:
    """Restore pictures of any size and videos; a folder stands for its pictures, read one by one.

    sequence: the pictures of each folder are the frames of a film, in the order of their names, f2 before f10: like
    those of a video they get one route, which changes only when what speaks for another one persists.
    tile: side of the tiles, None decides: fewest pixels in all tiles for which the process stays below `memory_mib`
    (None: 1.5 GB, or a safe share of what is free if that is less), or by the size of the picture where nobody knows
    what one takes. threads: that compute, None leaves them to the runtime. strength: 0 gives the input back, 1 the
    restored picture. A damaged picture inside a folder is skipped with its reason; one that was named is a
    PictureError. Videos in a folder are skipped, too: they are named themselves. Ctrl-C says how many were written.
    """
    _check_options(tile=tile, memory_mib=memory_mib, strength=strength)
    check_threads(threads)
    places = places_of(pictures, out, force=force)
    films = films_of(pictures, places, sequence=sequence)
    places = {source: place for source, place in places.items() if not any(source in film for film in films.values())}
    named = [source for source in places if source in pictures]
    for source in named if len(places) > 1 else ():
        read_samples(source)
    for source in films:
        check_film(source)
    opened = guarded(open_path(path, threads=threads))
    _check_model(opened, task=task, tile=tile)
    skipped = _passed_over(pictures, say)
    memory = memory_of(opened)
    if memory_mib is not None and memory is None:
        say(f"{path}: nobody has measured its memory, so --memory cannot choose the tiles")
    budget = Budget(opened, memory, limit_mib=memory_mib, tile=tile)
    alone = len(places) == 1
    restorer = Restorer(budget, strength=strength, say=say, progress=progress if alone else silent)
    # An artifact's own runtime has its threads already, and does without PyTorch.
    torch = torch_threads(threads if "torch" in sys.modules else None)
    with torch, _told_if_interrupted(sum(map(len, films.values()), len(places)), say) as written:
        done = _restored(restorer, places, named, written, progress=silent if alone else progress, say=say)
        told: dict[str, Film] = {}
        guard = dict(done.guard)
        for source, frames_of in films.items():
            frame_restorer = FrameRestorer(budget, strength=strength, say=say)
            told[str(source)] = restore_film(frame_restorer, source, frames_of, written, progress=progress, say=say)
            guard |= judged(opened, source, say)
    if opened.model is not None and opened.steered is not None and opened.model.network.architecture.slim:
        say(f"{path}: the model has no calibrated guard, so foreign pictures are not told: export it")
    update = {"written": written, "skipped": {**skipped, **done.skipped}, "films": told, "guard": guard}
    return done.model_copy(update=update)


def _passed_over(pictures: Sequence[Path], say: Callable[[str], None]) -> dict[str, str]:
    """Videos in the folders that were given."""
    videos = {video: None for given in pictures if given.is_dir() for video in videos_in(given)}
    passed = {str(video): f"{video}: a video in a folder: {NAME_VIDEOS}" for video in videos if video not in pictures}
    for text in passed.values():
        say(f"skipped {text}")
    return passed


@contextmanager
def _told_if_interrupted(count: int, say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Places by input, to be filled as they are written."""
    written: dict[str, str] = {}
    try:
        yield written
    except KeyboardInterrupt:
        say(f"{len(written)} of {count} files were written")
        raise


def _restored(
    restorer: Restorer,
    places: Mapping[Path, Path],
    named: Sequence[Path],
    written: dict[str, str],
    *,
    progress: Progress,
    say: Callable[[str], None],
) -> RestoredFiles:
    skipped: dict[str, str] = {}
    cut: dict[str, Cut] = {}
    guard: dict[str, Verdict] = {}
    sources = list(places)
    with reading_ahead(sources, read_samples) as pictures, WritingBehind() as writing:
        for source in progress(sources, "restoring"):
            try:
                picture = next(pictures)()
            except PictureError as error:
                if source in named:
                    raise
                skipped[str(source)] = error.what
                say(f"skipped {error.what}")
                continue
            found = _one(restorer, picture, source, places[source], say=say, writing=writing)
            written[str(source)] = str(places[source])
            guard |= judged(restorer.opened, source, say)
            if found is not None:
                cut[str(source)] = found
    return RestoredFiles(written=written, skipped=skipped, cut=cut, films={}, guard=guard)


def _one(
    restorer: Restorer,
    picture: PictureSamples,
    source: Path,
    place: Path,
    *,
    say: Callable[[str], None],
    writing: WritingBehind,
) -> Cut | None:
    """Restore a picture and begin to write it."""

    def warn(tile: Size) -> None:
        if smaller(tile, picture.size, SEAMLESS):
            say(
                f"{source}: cut into tiles below {SEAMLESS} pixels, expect seams; a larger tile or artifact avoids them"
            )

    bits = bits_in_file(place, bits=picture.bits, alpha=picture.alpha is not None)
    samples, cut = restorer.restore(picture, bits=bits, say_tile=warn)
    writing.store(partial(write_samples, samples, place, icc_profile=picture.icc_profile))
    return cut


def _check_options(*, tile: int | None, memory_mib: float | None, strength: float) -> None:
    if memory_mib is not None and not memory_mib > 0:
        raise InputError(f"{memory_mib:g} MiB of memory are not possible", "give a number above 0")
    if tile is not None and (tile % SIZE_MULTIPLE or tile <= 2 * OVERLAP):
        raise InputError(f"tile {tile} is not possible", f"give a multiple of {SIZE_MULTIPLE} above {2 * OVERLAP}")
    if not 0 <= strength <= 1:
        raise InputError(f"strength {strength:g} is out of range", "give a number from 0 to 1")


def _check_model(opened: Opened, *, task: Task | None, tile: int | None) -> None:
    served = opened.runner.size
    if tile is not None and served is not None and served != (tile, tile):
        raise InputError(
            f"{opened.path} serves pictures of {served[1]}x{served[0]}, not tiles of {tile}", "leave --tile out"
        )
    largest = opened.artifact.largest if opened.artifact is not None else None
    if tile is not None and largest is not None and tile > min(largest):
        raise InputError(
            f"{opened.path} serves pictures up to {largest[1]}x{largest[0]}, not tiles of {tile}", "leave --tile out"
        )
    if task is not None and opened.tasks and task not in opened.tasks:
        raise InputError(
            f"{opened.path} was made for {', '.join(opened.tasks)}, not {task}", "give a model for that task"
        )
