"""Which pictures are restored, and where each goes; whatever is wrong is said before the model is loaded."""

from __future__ import annotations

from picture_files import require_picture
from problem import Problem
from saying import complain


def places_of(pictures, out, force):
    """Where each picture goes; Problem if a place is an input, two are the same, or no picture is one.

    What an earlier call has written is left alone, so that the same command goes on where it ended; Problem if that is
    all of it. force: whether it is written again.
    """
    places = {path: out / path.name for path in pictures}
    if len({str(place).lower() for place in places.values()}) < len(pictures):
        raise Problem("two pictures would get the same name; restore them into different folders")
    sources = {path.resolve() for path in pictures}
    for place in places.values():
        if place.resolve() in sources:
            raise Problem("{}: an input, and would be overwritten; give another folder with --out".format(place))
    left = places if force else missing(places)
    for path in left:
        if not path.is_file():
            raise Problem("{}: no such file; check the path".format(path))
        require_picture(path)
    for path in places.keys() - left.keys():
        complain("{}: exists already, and is left alone; --force replaces it".format(places[path]))
    return left


def missing(places):
    """Those that have not been written; Problem without any."""
    left = {path: place for path, place in places.items() if not place.exists()}
    if not left:
        first = next(iter(places.values()))
        raise Problem("{}: exists already; give another folder with --out, or --force".format(first))
    return left
