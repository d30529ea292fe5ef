"""Which pictures are restored, and where each one goes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from moceir_edge.data.images import PICTURE_SUFFIXES, is_picture
from moceir_edge.errors import DataError, InputError, OutputError, PictureError
from moceir_edge.records import refuse_existing
from moceir_edge.streaming.video_library import VIDEO_SUFFIXES, is_video

NAME_VIDEOS = "name videos themselves"


def places_of(pictures: Sequence[Path], out: Path, *, force: bool) -> dict[Path, Path]:
    """Where each picture goes; OutputError if a place is taken, is itself an input, or two are the same.

    A folder stands for its pictures. Names that differ in case alone are the same: they are on macOS and Windows. One
    file that is given twice is restored once.
    """
    places = _apart((source, out / name) for source, name in _inputs(pictures))
    refuse_taken(places, force=force)
    return places


def _apart(placed: Iterable[tuple[Path, Path]]) -> dict[Path, Path]:
    places: dict[Path, Path] = {}
    first: dict[str, Path] = {}
    for source, place in placed:
        other = first.setdefault(str(place).casefold(), source)
        if other.resolve() != source.resolve():
            raise OutputError(
                f"two pictures would get the same name: {other} and {source} would both be {place}",
                "restore them into different folders",
            )
        if other is source:
            places.setdefault(source, place)
    return places


def films_of(pictures: Sequence[Path], places: Mapping[Path, Path], *, sequence: bool) -> dict[Path, dict[Path, Path]]:
    """What is restored as one film, with the places of its files: videos, and, as a `sequence`, the frames of a folder.

    Each folder below one that is given is a film of its own. InputError for a picture by itself in a sequence.
    """
    films = {source: {source: place} for source, place in places.items() if is_video(source)}
    if not sequence:
        return films
    for given in pictures:
        if given.is_dir():
            for source, place in places.items():
                if source.is_relative_to(given):
                    films.setdefault(source.parent, {})[source] = place
        elif not is_video(given):
            raise InputError(f"{given} is no sequence", "give folders of frames with --sequence, or leave it out")
    return films


def refuse_taken(places: dict[Path, Path], *, force: bool) -> None:
    """OutputError if a place is an input, exists and `force` is off, or cannot be written."""
    sources = {source.resolve() for source in places}
    for place in places.values():
        if place.resolve() in sources:
            raise OutputError(f"{place} is an input, and would be overwritten", "give another folder with --out")
    for place in places.values():
        refuse_existing(place, force=force)


def pictures_in(folder: Path) -> list[Path]:
    """Pictures below a folder in the order of their names, f2 before f10; DataError where there are none."""
    inside = sorted((path for path in folder.rglob("*") if path.is_file() and is_picture(path)), key=_in_order)
    videos = videos_in(folder)
    if not inside and videos:
        names = ", ".join(str(video) for video in videos)
        raise DataError(f"{folder}: no pictures in this folder, only videos: {names}", NAME_VIDEOS)
    if not inside:
        raise DataError(f"{folder}: no pictures in this folder", "give a folder with PNG, JPEG, WebP or TIFF")
    return inside


def videos_in(folder: Path) -> list[Path]:
    """Videos below a folder, for which the folder does not stand."""
    return sorted((path for path in folder.rglob("*") if path.is_file() and is_video(path)), key=_in_order)


def _in_order(path: Path) -> tuple[list[list[str | int]], str]:
    """Numbers in a name count as numbers; names that are alike then, as f1 and f01, stay as text has them."""
    parts = [re.split("([0-9]+)", part) for part in path.parts]
    return [[int(word) if number % 2 else word for number, word in enumerate(words)] for words in parts], str(path)


def _inputs(pictures: Sequence[Path]) -> Sequence[tuple[Path, Path]]:
    """Every picture with the name it gets below the output folder."""
    found: list[tuple[Path, Path]] = []
    for given in pictures:
        if given.is_dir():
            found.extend((path, path.relative_to(given)) for path in pictures_in(given))
        elif not given.is_file():
            raise PictureError(f"{given}: no such file or folder", "check the path")
        elif not (is_picture(given) or is_video(given)):
            known = ", ".join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))
            raise PictureError(f"{given}: not a picture by its name, nor a video", f"give one of {known}")
        else:
            found.append((given, Path(given.name)))
    return found
