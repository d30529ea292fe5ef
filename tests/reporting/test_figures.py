"""Figures: well-formed, of the page's colours, and harmless whatever the names are."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from moceir_edge.metrics import Interval
from moceir_edge.reporting.figures import COLOURS, Curve, Panel, Point, bars, heat_map, loss_chart, roc_chart

NASTY = "<script> $x_1$ &"


def texts(svg: str) -> list[str]:
    """The words of a drawing; parsing proves that it is well-formed."""
    svg = svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)
    return [(element.text or "").strip() for element in ET.fromstring(svg).iter() if element.tag == "text"]


def test_heat_map_shows_counts() -> None:
    """Every count, layer and task; letters and colours come from the page."""
    svg = heat_map({NASTY: [(3, 0), (1, 2)]}, ["dec.0", NASTY])
    found = texts(svg)
    assert sorted(found) == sorted([NASTY, NASTY, "dec.0", "0", "1", "3", "0", "1", "2"])
    assert "var(--series-0)" in svg
    assert "currentColor" in svg
    assert not any(colour in svg for colour in COLOURS)
    assert "var(--letters)" in svg
    assert "DejaVu" not in svg
    assert "<style" not in svg


def test_loss_chart_names_steps_and_tasks() -> None:
    """A row for each step, a colour for each task, the limit in its own colour; one picture has no interval."""
    value = Interval(mean=0.02, low=0.02, high=0.02, n=1)
    svg = loss_chart(
        [Point(step, task, value) for step in ("slim", "int8") for task in ("derain", NASTY)], {"int8": 0.1}
    )
    assert {"slim", "int8", "derain", NASTY} <= set(texts(svg))
    assert "var(--series-1)" in svg
    assert "var(--bad)" in svg


def test_bars_carry_their_values() -> None:
    """Each bar's text stands in it."""
    svg = bars(
        ["full", NASTY], [Panel("bytes", (4.0, 1.0), ("4 MB", "1 MB")), Panel("MACs", (2.0, 0.0), ("2 G", "0 G"))]
    )
    assert {"full", NASTY, "bytes", "MACs", "4 MB", "1 MB", "2 G", "0 G"} <= set(texts(svg))


def test_roc_chart_marks_the_limit_in_use() -> None:
    """A curve and a mark for each task, named beside it; the diagonal is the page's own line."""
    curves = [Curve(NASTY, ((0, 0), (0, 0.5), (1, 1)), (0.1, 0.6)), Curve("b", ((0, 0), (1, 1)), (0.1, 0.1))]
    svg = roc_chart(curves)
    assert {NASTY, "b", "own pictures called foreign"} <= set(texts(svg))
    assert "var(--series-1)" in svg
    assert not any(colour in svg for colour in COLOURS)
