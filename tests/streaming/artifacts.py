"""Artifacts on disk, and large pictures made of small ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moceir_edge.artifacts import FILE_NAME, Artifact, file_entries
from moceir_edge.data.images import read_picture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.resources import resource
from moceir_edge.runner import Image
from moceir_edge.targets.target import Target
from tests.targets.networks import exported, recipe


def written(
    target: Target, network: MoceIR, folder: Path, *, gates_input: bool = False, measured: bool = False
) -> Path:
    """An artifact of any size in a folder, measured if that is asked for."""
    said = recipe("onnx", size="dynamic", gates_input=gates_input)
    artifact: Artifact = exported(target, lower(network, gates_input=gates_input), said, folder)
    artifact = artifact.model_copy(update={"files": file_entries(folder)})
    if measured:
        memory = target.memory(artifact, folder)
        assert not isinstance(memory, str), memory
        found = {"memory_base_mib": memory.base_mib, "memory_mib_per_megapixel": memory.mib_per_megapixel}
        artifact = artifact.model_copy(update=found)
    artifact.write(folder / FILE_NAME)
    return folder


def large_picture(height: int, width: int) -> Image:
    """(3, H, W): photographs of the calibration, twice as large, side by side."""
    pictures = [read_picture(path).pixels for path in sorted((resource("calibration") / "pictures").glob("*.png"))]
    pieces = [np.repeat(np.repeat(picture[:, :192, :192], 2, axis=1), 2, axis=2) for picture in pictures]
    side = pieces[0].shape[1]
    rows = [
        np.concatenate([pieces[(row * 3 + column) % len(pieces)] for column in range(-(-width // side))], axis=2)
        for row in range(-(-height // side))
    ]
    return np.ascontiguousarray(np.concatenate(rows, axis=1)[:, :height, :width])
