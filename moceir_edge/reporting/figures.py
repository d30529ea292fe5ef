"""Figures as SVG that takes its colours and letters from the page around it, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moceir_edge.metrics import Interval

INK, LINE, LIMIT = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0400{index:02x}" for index in range(8))
MARKERS = "osD^vPX*"
COLOURS = {INK: "currentColor", LINE: "var(--line)", LIMIT: "var(--bad)"} | {
    colour: f"var(--series-{index})" for index, colour in enumerate(SERIES)
}
"""What stands in matplotlib's output, and what the page puts in its place."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "moceir-edge",
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": LINE,
    "legend.frameon": False,
    "font.size": 10,
}


@dataclass(frozen=True)
class Point:
    """A step's value with its interval, for one series (a task)."""

    step: str
    series: str
    value: Interval


@dataclass(frozen=True)
class Curve:
    """A ROC curve by its corners (share of false alarms, share of alarms), and the corner that is in use."""

    name: str
    corners: tuple[tuple[float, float], ...]
    used: tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """Bars of one quantity."""

    title: str
    values: tuple[float, ...]
    texts: tuple[str, ...]


def heat_map(counts: Mapping[str, Sequence[Sequence[int]]], layers: Sequence[str]) -> str:
    """Counts of first choices by task, layer and expert; the darker, the larger the share.

    counts: task -> (layers, experts).
    """
    experts = len(next(iter(counts.values()))[0])
    width, height = 2.4 + 0.42 * (experts + 0.5) * len(counts), 0.9 + 0.32 * len(layers)
    with mpl.rc_context(STYLE):
        figure, axes = _axes(width, height)
        for position, (task, rows) in enumerate(counts.items()):
            left = position * (experts + 0.5)
            axes.text(left + experts / 2, -0.75, task, ha="center", va="bottom", fontweight="bold")
            for expert in range(experts):
                axes.text(left + expert + 0.5, -0.15, str(expert), ha="center", va="bottom", fontsize=8)
            for row, values in enumerate(rows):
                _cells(axes, left, row, values)
        axes.set(xlim=(0, len(counts) * (experts + 0.5)), ylim=(len(layers), -1.6))
        axes.set_yticks([row + 0.5 for row in range(len(layers))], list(layers))
        axes.set_xticks([])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return _svg(figure)


def loss_chart(points: Sequence[Point], limits: Mapping[str, float]) -> str:
    """dB lost at every step with its interval, a colour for each series. limits: step -> allowed mean loss."""
    steps = list(dict.fromkeys(point.step for point in points))
    names = list(dict.fromkeys(point.series for point in points))
    with mpl.rc_context(STYLE):
        figure, axes = _axes(5.0, 1.1 + (0.3 + 0.2 * len(names)) * len(steps))
        for index, name in enumerate(names):
            own = [point for point in points if point.series == name]
            offset = (index - (len(names) - 1) / 2) * 0.5 / len(names)
            _intervals(axes, own, [steps.index(point.step) + offset for point in own], index)
        for step, limit in limits.items():
            if step in steps:
                row = steps.index(step)
                axes.plot([limit, limit], [row - 0.4, row + 0.4], color=LIMIT, linewidth=1.5)
        axes.axvline(0, color=LINE, linewidth=1)
        axes.set_yticks(range(len(steps)), steps)
        axes.set_ylim(len(steps) - 0.5, -0.5)
        axes.margins(x=0.1)
        axes.tick_params(length=0)
        axes.set_xlabel("PSNR lost against the full model, dB (right is worse)")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
        return _svg(figure)


def bars(names: Sequence[str], panels: Sequence[Panel]) -> str:
    """Horizontal bars, a panel for each quantity, a row for each name."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 2.3 * len(panels), 0.55 + 0.36 * len(names)), layout="constrained")
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(every, panels, strict=True):
            axes.barh(range(len(names)), panel.values, height=0.6, color=SERIES[0], alpha=0.55)
            for row, text in enumerate(panel.texts):
                axes.annotate(text, (0, row), (5, 0), textcoords="offset points", va="center", fontsize=9)
            axes.set_title(panel.title, fontsize=10, loc="left")
            axes.set_xticks([])
            axes.tick_params(length=0)
            axes.spines[["bottom"]].set_visible(False)
        every[0].set_yticks(range(len(names)), list(names))
        every[0].set_ylim(len(names) - 0.4, -0.6)
        return _svg(figure)


def roc_chart(curves: Sequence[Curve]) -> str:
    """ROC curves, a colour for each, with a mark at the limit in use."""
    with mpl.rc_context(STYLE):
        figure, axes = _axes(6.4, 3.6)
        axes.plot((0, 1), (0, 1), color=LINE, linewidth=1)
        for index, curve in enumerate(curves):
            colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
            alarms = zip(*curve.corners, strict=True)
            axes.plot(*alarms, color=colour, linewidth=1.5)
            axes.plot(*curve.used, marker, color=colour, markersize=6, clip_on=False, label=curve.name)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        axes.set_xlabel("own pictures called foreign")
        axes.set_ylabel("their pictures called foreign")
        axes.legend(loc="lower left", bbox_to_anchor=(1.02, 0), borderaxespad=0)
        return _svg(figure)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _cells(axes: Axes, left: float, row: int, values: Sequence[int]) -> None:
    total = sum(values) or 1
    for expert, count in enumerate(values):
        place = (left + expert + 0.03, row + 0.04)
        alpha = 0.04 + 0.66 * count / total
        axes.add_patch(Rectangle(place, 0.94, 0.92, facecolor=SERIES[0], edgecolor="none", alpha=alpha))
        axes.text(left + expert + 0.5, row + 0.5, str(count), ha="center", va="center", fontsize=9)


def _intervals(axes: Axes, points: Sequence[Point], heights: Sequence[float], index: int) -> None:
    means = [point.value.mean for point in points]
    below = [max(0.0, point.value.mean - point.value.low) for point in points]
    above = [max(0.0, point.value.high - point.value.mean) for point in points]
    colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
    axes.errorbar(
        means, heights, xerr=(below, above), fmt=marker, color=colour, markersize=5, capsize=3, label=points[0].series
    )


def _svg(figure: Figure) -> str:
    """The drawing alone: without head, general styles, ids that would double, and the date; scaled by the page."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"(font: (?:\w+ )?[\d.]+px|font-family:) [^;\"]*", r"\1 var(--letters)", text)
    width = round(figure.get_figwidth() * 90)
    text = re.sub(
        r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>",
        rf'<svg \1 style="width: {width}px; min-width: {round(0.8 * width)}px">',
        text,
        count=1,
    )
    for ours, theirs in COLOURS.items():
        text = text.replace(ours, theirs)
    return text
