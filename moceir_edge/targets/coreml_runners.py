"""Running a Core ML package: by Core ML on macOS, by our own reading of its arithmetic elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moceir_edge.program.program import IMAGE, RESTORED
from moceir_edge.runner import Image, Outputs, outputs_from_arrays
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_execute import MilExecutor
from moceir_edge.targets.mlpackage import Package


@dataclass(frozen=True)
class CoreMLRunner:
    """Core ML itself, on the compute units that it chooses; `picture`: 8-bit RGB in and out."""

    model: Any
    size: tuple[int, int]
    picture: bool

    def run(self, image: Image) -> Outputs:
        """See `Runner`; with `picture`, values between 8-bit steps are lost on the way in and out."""
        given: Any = image[None]
        if self.picture:
            from PIL.Image import fromarray

            given = fromarray(np.ascontiguousarray(_steps(image).astype(np.uint8).transpose(1, 2, 0)))
        arrays = dict(self.model.predict({IMAGE: given}))
        if self.picture:
            rgb = np.asarray(arrays[RESTORED].convert("RGB"), np.float32)
            arrays[RESTORED] = rgb.transpose(2, 0, 1)[None] / np.float32(255)
        return outputs_from_arrays({name: np.asarray(array, np.float32) for name, array in arrays.items()})


@dataclass(frozen=True)
class EmulatedRunner:
    """A package that was read back, executed here; stands in for Core ML in no proof but `emulated`."""

    executor: MilExecutor
    size: tuple[int, int]
    picture: bool

    def run(self, image: Image) -> Outputs:
        """See `Runner`; with `picture`, values between 8-bit steps are lost on the way in and out."""
        given = _steps(image) if self.picture else image
        arrays = self.executor.run({IMAGE: np.ascontiguousarray(given[None])})
        if self.picture:
            arrays[RESTORED] = arrays[RESTORED] / np.float32(255)
        return outputs_from_arrays(arrays)


def coreml_runner(path: Path, package: Package) -> CoreMLRunner:
    """A runner on this Mac."""
    model = coreml_library.load().models.MLModel(str(path))
    return CoreMLRunner(model, package.size, picture=package.picture)


def emulated_runner(package: Package) -> EmulatedRunner:
    """A runner on any machine; ArtifactError if the package has an operation that is not known here."""
    return EmulatedRunner(MilExecutor(package), package.size, picture=package.picture)


def in_8_bits(image: Image) -> Image:
    """A picture in [0, 1] on the 8-bit steps next to its values."""
    return _steps(image) / np.float32(255)


def _steps(image: Image) -> Image:
    steps: Image = np.rint(255 * np.clip(image, 0, 1))
    return steps.astype(np.float32)
