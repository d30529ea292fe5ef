"""Reading a report as a stranger would: its numbers, its pictures, its text."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

FACTORS = {"": 1, "dB": 1, "%": 0.01, "k": 1e3, "M": 1e6, "G": 1e9, "MB": 1e6, "kB": 1e3, "MiB": 1}


@dataclass
class Page(HTMLParser):
    """numbers: (key, exact value, what is read); pictures: embedded content; tags: every element's name."""

    text: str
    numbers: list[tuple[str, str, str]] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        """Read it all."""
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note numbers, pictures and addresses."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links.extend(given[name] for name in ("src", "href", "xlink:href") if name in given)
        if "data-key" in given:
            self.numbers.append((given["data-key"], given["data-value"], ""))
        if tag == "img":
            self.pictures.append(base64.b64decode(given["src"].partition(",")[2]))

    def handle_data(self, data: str) -> None:
        """Text; the first after a number is what is read of it."""
        if self.numbers and not self.numbers[-1][2]:
            self.numbers[-1] = (*self.numbers[-1][:2], data)
        self.words += data


def json_value(run: Path, key: str) -> Any:
    """The value at a place, found without the package's own function: a file's name, then keys."""
    parts = key.split(".")
    for count in range(len(parts) - 1, 0, -1):
        path = run / f"{'.'.join(parts[:count])}.json"
        if path.is_file():
            value = json.loads(path.read_bytes())
            for part in parts[count:]:
                if isinstance(value, list):
                    value = len(value) if part == "length" else value[int(part)]
                else:
                    value = value[part]
            return value
    raise KeyError(key)


def assert_true_numbers(run: Path, numbers: list[tuple[str, str, str]]) -> None:
    """Every number is the JSON's: exactly in data-value, to its last decimal in what is read."""
    for key, exact, text in numbers:
        value = json_value(run, key)
        assert json.loads(exact) == value, key
        if value is None:
            assert text == "–", key
            continue
        match = re.fullmatch(r"([-+]?[\d,]+)(\.\d+)? ?(\S*)", text)
        assert match, (key, text)
        read = float(match[1].replace(",", "") + (match[2] or "")) * FACTORS[match[3]]
        step = 10.0 ** -(len(match[2] or ".") - 1) * FACTORS[match[3]]
        assert math.isclose(read, value, rel_tol=1e-12, abs_tol=0.5000001 * step), (key, text, value)
