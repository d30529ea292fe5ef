"""Decoding, work and encoding at the same time; what goes wrong in a thread is met where it belongs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from moceir_edge.errors import OutputError, PictureError
from moceir_edge.streaming.flow import WritingBehind, reading_ahead

PATIENCE_S = 60


def test_the_next_is_loaded_while_this_one_is_worked_on() -> None:
    """The second is there before the first is done; the third is not begun: no more than one waits."""
    loaded, third = [threading.Event() for _ in range(4)], 2

    def load(index: int) -> int:
        loaded[index].set()
        return index

    with reading_ahead(range(4), load) as results:
        assert next(results)() == 0
        assert loaded[1].wait(PATIENCE_S)
        assert not loaded[third].is_set()
        assert [result() for result in results] == [1, 2, 3]


def test_what_cannot_be_loaded_is_met_at_its_turn() -> None:
    """The one before is handed out, the ones after it, too."""

    def load(index: int) -> int:
        if index == 1:
            raise PictureError("1.png: damaged", "copy it again")
        return index

    with reading_ahead(range(3), load) as results:
        assert next(results)() == 0
        with pytest.raises(PictureError, match=r"1\.png"):
            next(results)()
        assert next(results)() == 2


def test_nothing_to_load() -> None:
    """No items, no results."""
    with reading_ahead([], int) as results:
        assert list(results) == []


def test_work_goes_on_while_a_file_is_written() -> None:
    """The first call returns before its file is there; the second waits for it."""
    gate, written = threading.Event(), list[int]()

    def first() -> None:
        assert gate.wait(PATIENCE_S)
        written.append(1)

    with WritingBehind() as writing:
        writing.store(first)
        assert written == []
        gate.set()
        writing.store(lambda: written.append(2))
        assert written[0] == 1
    assert written == [1, 2]


def test_what_cannot_be_written_is_raised() -> None:
    """At the latest at the end; what follows in the block is not begun."""

    def fail() -> None:
        raise OutputError("a.png: the disk is full", "free some space")

    with pytest.raises(OutputError, match=r"a\.png"), WritingBehind() as writing:
        writing.store(fail)
    later = list[int]()

    def two() -> None:
        with WritingBehind() as writing:
            writing.store(fail)
            writing.store(lambda: later.append(1))

    with pytest.raises(OutputError, match=r"a\.png"):
        two()
    assert later == []


def test_ctrl_c_leaves_whole_files(tmp_path: Path) -> None:
    """What is being written then is finished first."""
    gate = threading.Event()

    def slowly() -> None:
        assert gate.wait(PATIENCE_S)
        (tmp_path / "a.png").write_text("whole")

    def interrupted() -> None:
        with WritingBehind() as writing:
            writing.store(slowly)
            threading.Timer(0.1, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a.png").read_text() == "whole"
