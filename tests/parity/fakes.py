"""Samples that lie in memory and runners that compute what a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from moceir_edge.data.dataset import Dataset, Pair, Sample
from moceir_edge.parity.compare import PictureScore, Row
from moceir_edge.runner import Image, Outputs
from moceir_edge.terms import Task


@dataclass(frozen=True)
class Drawn(Sample):
    """A sample that is its own file."""

    pair: Pair = field(default_factory=lambda: Pair(plain(), None))

    def load(self) -> Pair:
        return self.pair


def plain(value: float = 0.5, *, height: int = 16, width: int = 24) -> Image:
    """(3, H, W) of one value."""
    return np.full((3, height, width), value, np.float32)


def noise(seed: int, *, height: int = 16, width: int = 24) -> Image:
    """(3, H, W) in [0, 1)."""
    return np.random.default_rng(seed).random((3, height, width), np.float32)


def sample(name: str, image: Image, target: Image | None = None, *, task: Task = Task.DERAIN) -> Drawn:
    """A picture with or without a target; its set is what stands before the slash."""
    return Drawn(
        task=task,
        set_name=name.split("/", maxsplit=1)[0],
        name=name,
        input_path=Path("in.png"),
        target_path=None if target is None else Path("target.png"),
        input_digest=name,
        digest=name,
        pair=Pair(image, target),
    )


def dataset(*samples: Sample) -> Dataset:
    """These samples."""
    return Dataset(samples)


@dataclass(frozen=True)
class FakeRunner:
    """Gives what a function makes of the picture."""

    change: Callable[[Image], Image]
    size: tuple[int, int] | None = None
    agreement: float | None = None
    scores: Image | None = None

    def run(self, image: Image) -> Outputs:
        return Outputs(self.change(image).astype(np.float32), self.agreement, self.scores)


def score(name: str = "derain/0", *, task: Task = Task.DERAIN, **numbers: Any) -> PictureScore:
    """A picture's numbers: those named, the others of a picture that nothing has changed."""
    given: dict[str, Any] = {
        "input_db": 20.0,
        "quality_db": 30.0,
        "ssim": 0.9,
        "parity_db": None,
        "residual_snr_db": None,
        "step_parity_db": None,
        "step_snr_db": None,
        "agreement": None,
        "same_routes": None,
    }
    return PictureScore(name=name, task=task, set_name=name.split("/", maxsplit=1)[0], **{**given, **numbers})


def row(step: str, *scores: PictureScore) -> Row:
    """A step with these pictures."""
    return Row(step=step, how="in a test", pictures=scores)
