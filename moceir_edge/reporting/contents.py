"""What a report is made of: plain frozen values, which the template draws and knows nothing else of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

UNITS = {"": 1.0, "dB": 1.0, "%": 100.0, "k": 1e-3, "M": 1e-6, "G": 1e-9, "MB": 1e-6, "kB": 1e-3, "MiB": 1.0}
"""Factor from a number of the JSON to the one that is shown with a unit."""

LOSS = "+z.3f"
SHARE = ".1f"
COUNT = ",d"


class Tone(StrEnum):
    """How a word is meant."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"
    QUIET = "quiet"


@dataclass(frozen=True)
class Number:
    """A number of the run: its place in the JSON, its exact value, and the text that is read."""

    key: str
    exact: str
    text: str
    kind: ClassVar[str] = "number"


@dataclass(frozen=True)
class Mark:
    """A word with a tone."""

    text: str
    tone: Tone
    kind: ClassVar[str] = "mark"


@dataclass(frozen=True)
class Code:
    """A name, a hash or a recipe, in fixed width."""

    text: str
    kind: ClassVar[str] = "code"


Piece: TypeAlias = str | Number | Mark | Code
Phrase: TypeAlias = tuple[Piece, ...]


@dataclass(frozen=True)
class Paragraph:
    """A sentence or more."""

    phrase: Phrase
    tone: Tone | None = None
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Listing:
    """Sentences, one below the other."""

    items: tuple[Phrase, ...]
    kind: ClassVar[str] = "listing"


@dataclass(frozen=True)
class Table:
    """Rows of phrases. The first `words` and the last `tail` columns hold words, the others numbers.

    fold: the title of what hides the table; empty for one that is open.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Phrase, ...], ...]
    words: int = 1
    tail: int = 0
    caption: str = ""
    fold: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Drawing:
    """An SVG made here, and what it shows."""

    svg: str
    caption: str
    kind: ClassVar[str] = "drawing"


@dataclass(frozen=True)
class Shown:
    """A picture as data URI, None where `note` stands for it; `phrase` belongs to it."""

    title: str
    uri: str | None
    note: str
    phrase: Phrase = ()


@dataclass(frozen=True)
class Gallery:
    """What was made of one picture."""

    title: str
    phrase: Phrase
    pictures: tuple[Shown, ...]
    kind: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Heading:
    """The title of what follows, within a section."""

    text: str
    kind: ClassVar[str] = "heading"


Part: TypeAlias = Paragraph | Listing | Table | Drawing | Gallery | Heading


@dataclass(frozen=True)
class Section:
    """A chapter; `name` is its anchor."""

    name: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Card:
    """The verdict on an artifact."""

    title: str
    subtitle: str
    mark: Mark
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    notes: tuple[Paragraph, ...]
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]


def say(*pieces: Piece, tone: Tone | None = None) -> Paragraph:
    """A paragraph of pieces."""
    return Paragraph(pieces, tone)


def joined(phrases: Sequence[Phrase], separator: str = ", ") -> Phrase:
    """Phrases one after the other."""
    parts: list[Piece] = []
    for number, phrase in enumerate(phrases):
        parts.extend((separator, *phrase) if number else phrase)
    return tuple(parts)


def resolve(documents: Mapping[str, Any], key: str) -> Any:
    """The value at a place: the name of a JSON file without its ending, then keys and indices, joined by dots.

    `length` after a list is how many it has. KeyError if there is no such place.
    """
    names = [name for name in documents if key.startswith(f"{name}.")]
    if not names:
        raise KeyError(key)
    name = max(names, key=len)
    value = documents[name]
    for part in key[len(name) + 1 :].split("."):
        value = _inside(value, part)
    return value


def _inside(value: Any, part: str) -> Any:
    if not isinstance(value, list):
        return value[part]
    return len(value) if part == "length" else value[int(part)]
