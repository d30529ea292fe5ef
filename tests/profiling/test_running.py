"""What a person asks for, in the words of a bundle's runner."""

from __future__ import annotations

import pytest

from moceir_edge.errors import InputError
from moceir_edge.profiling.running import Running
from moceir_edge.terms import size_from_text


def test_width_comes_first_for_people_and_last_for_runners() -> None:
    """Sizes are given and printed as width x height; a runner takes height x width."""
    assert size_from_text("640x480") == (480, 640)
    assert Running(size=size_from_text("640x480")).words() == ("--size", "480x640")
    with pytest.raises(InputError, match="636x480 is no size of a picture; give multiples of 8, as in 640x480"):
        Running(size=size_from_text("636x480"))


@pytest.mark.parametrize("text", ["640", "640x", "x480", "640X480", "640 x 480", "-8x8", "640x480x3", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With the order that is meant."""
    with pytest.raises(InputError, match="is no size; give width x height"):
        size_from_text(text)
