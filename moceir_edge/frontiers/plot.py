"""Latency against what is lost, a mark for each point."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from moceir_edge.frontiers.result import Frontier
from moceir_edge.predicting.result import LABEL

MARKERS = "osD^vPX*<>hdpH"
"""One for each recipe, over again where there are more."""


def write_plot(result: Frontier, path: Path) -> None:
    """An SVG: latency against loss on choosing pictures; the frontier is a line, points off it are hollow."""
    with mpl.rc_context({"svg.hashsalt": "moceir-edge", "font.size": 9}):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.subplots()
        line = [result.point(name).compared for name in result.frontier]
        axes.plot(
            [at.latency_ms for at in line], [at.loss_db for at in line], color="0.6", linewidth=1, label="frontier"
        )
        recipes = list(dict.fromkeys(point.recipe for point in result.points))
        for number, recipe in enumerate(recipes):
            color, marker = f"C{number}", MARKERS[number % len(MARKERS)]
            beside = (9, 5 - 16 * (number % 2))  # recipes of one share lie close together
            axes.plot([], [], marker, color=color, label=recipe)
            for point in (point for point in result.points if point.recipe == recipe):
                at = point.compared.latency_ms, point.compared.loss_db
                inside = color if point.beaten_by is None else "none"
                axes.plot(*at, marker, color=color, markerfacecolor=inside)
                axes.annotate(f"{point.share:g}", at, color=color, xytext=beside, textcoords="offset points")
        if result.picked is not None:
            best = result.point(result.picked).compared
            axes.plot(
                best.latency_ms, best.loss_db, "o", color="black", fillstyle="none", markersize=14, label="picked"
            )
        height, width = result.size
        what = "latency" if result.device is None else LABEL
        axes.set_xlabel(f"{what} at {width}x{height}, ms")
        axes.set_ylabel("PSNR lost against the model given, dB")
        axes.set_title(
            f"{', '.join(result.tasks)} on {result.device or result.machine['processor']}; numbers: share of MACs",
            loc="left",
        )
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
