"""What a frontier leaves in its folder beside its stages."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from moceir_edge.frontiers.building import Built
from moceir_edge.frontiers.plot import write_plot
from moceir_edge.frontiers.result import Frontier
from moceir_edge.frontiers.table import frontier_text
from moceir_edge.network.checkpoint import save
from moceir_edge.records import copy_files, replacing_file, replacing_folder

RESULT, TEXT, PLOT, PICKED = "frontier.json", "frontier.txt", "frontier.svg", "picked"

MODEL, ARTIFACT = "model.safetensors", "artifact"
"""What lies in `PICKED`."""


def write_frontier(found: Frontier, built: Sequence[Built], out: Path) -> None:
    """The result as JSON, text and plot, and the picked point; one that was picked before goes."""
    found.write(out / RESULT)
    with replacing_file(out / TEXT) as temporary:
        temporary.write_text(f"{frontier_text(found)}\n", encoding="utf-8")
    with replacing_file(out / PLOT) as temporary:
        write_plot(found, temporary)
    if found.picked is None:
        shutil.rmtree(out / PICKED, ignore_errors=True)
        return
    (picked,) = (one for one in built if one.name == found.picked)
    with replacing_folder(out / PICKED) as folder:
        save(picked.model, folder / MODEL)
        copy_files(picked.folder, folder / ARTIFACT)
