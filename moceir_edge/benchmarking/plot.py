"""Latency against quality, a point for each variant."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from moceir_edge.benchmarking.result import Benchmark, VariantResult

MARKERS = "osD^vPX*<>hd8pHx"
"""One for each variant."""


def write_plot(result: Benchmark, path: Path) -> None:
    """An SVG: median latency with quartiles against PSNR, or against parity where there were no targets."""
    judged = result.judging_sha256 is not None
    with mpl.rc_context({"svg.hashsalt": "moceir-edge", "font.size": 9}):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.subplots()
        for index, row in enumerate(result.variants):
            value = _quality(row, judged=judged)
            if value is None:
                continue
            timing = row.timing
            spread = [[timing.median_ms - timing.lower_ms], [timing.upper_ms - timing.median_ms]]
            axes.errorbar(timing.median_ms, value, xerr=spread, fmt=MARKERS[index], capsize=2, label=row.variant)
        axes.set_xscale("log")
        axes.set_xlabel(f"latency at {result.size[1]}x{result.size[0]}, {result.threads} threads, ms")
        axes.set_ylabel("PSNR, dB" if judged else "parity with the same experts in PyTorch, dB")
        axes.set_title(f"{result.name} on {result.machine.device}", loc="left")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _quality(row: VariantResult, *, judged: bool) -> float | None:
    if judged:
        return None if row.quality is None else row.quality.mean_db
    return row.parity.kept_db
