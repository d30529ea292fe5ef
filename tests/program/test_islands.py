"""Islands stand where a bound says so."""

from __future__ import annotations

import numpy as np

from moceir_edge.program.islands import FLOAT16_LARGEST, ISLAND_LIMIT, SAFETY, place_islands, with_islands
from moceir_edge.program.program import Builder, Kind, Program


def program() -> Program:
    """Three operations in a row, the last one an island already."""
    build = Builder()
    value = build.add(Kind.INPUT, "image")
    for name, exact in (("a", False), ("b", False), ("c", True)):
        value = build.add(Kind.MUL, name, value, constants={"right": np.array(2.0)}, exact=exact)
    return Program(tuple(build.operations), {"restored": "c"}, (), 0)


def test_what_is_beyond_the_limit_becomes_an_island() -> None:
    """The others stay as they are, in their order; the program that was given is not changed."""
    given = program()
    placed = place_islands(given, {"a": 70000.0, "b": 10.0})
    assert placed.program.islands == ("a", "c")
    assert placed.added == {"a": 70000.0}
    assert given.islands == ("c",)
    assert [op.name for op in placed.program.operations] == [op.name for op in given.operations]


def test_the_limit_keeps_a_distance() -> None:
    """A quarter of float16's largest number is still allowed, more is not."""
    assert ISLAND_LIMIT * SAFETY == FLOAT16_LARGEST
    assert place_islands(program(), {"a": ISLAND_LIMIT, "b": np.nextafter(ISLAND_LIMIT, np.inf)}).added.keys() == {"b"}


def test_islands_stay_islands() -> None:
    """Whatever their bound is, and without being counted as new."""
    placed = place_islands(program(), {"c": 1.0, "a": 1.0})
    assert placed.program.islands == ("c",)
    assert not placed.added


def test_named_islands_of_another_program() -> None:
    """Names that this program lacks are passed over."""
    assert with_islands(program(), ["b", "gates.flat"]).islands == ("b", "c")
