"""Lines for people: what a bundle's names and titles hold must not move the cursor or colour the terminal."""

from __future__ import annotations

import sys


def printable(text):
    """The text with a question mark for everything that has no shape: control characters, marks of direction."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def say(text):
    """A line on stdout."""
    line(sys.stdout, text)


def complain(text):
    """A line on stderr."""
    line(sys.stderr, text)


def line(stream, text):
    """Whole lines, at once."""
    stream.write(printable(text) + "\n")
    stream.flush()
