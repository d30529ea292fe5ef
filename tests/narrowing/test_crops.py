"""Crops that refit, and crops that tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.images import Picture, write_picture
from moceir_edge.data.samples import read_data
from moceir_edge.narrowing.crops import SIDE, take_crops
from tests.golden import drawn_pictures


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two sets of rain of four pictures each, and one picture of haze that is smaller than a crop."""
    for name, count, start in (("derain", 4, 0), ("derain_light", 4, 4), ("dehaze", 1, 8)):
        height = 80 if name == "dehaze" else 160
        for number, pixels in enumerate(drawn_pictures(start + count, height=height, width=168).numpy()[start:]):
            for part in ("input", "target"):
                brighter = pixels if part == "input" else pixels * 0.5 + start / 20
                write_picture(Picture(brighter), tmp_path / name / part / f"{number}.png")
    return read_data(tmp_path)


def test_crops(dataset: Dataset) -> None:
    """Equally many of every task, of every set, and none on both sides."""
    crops = take_crops(dataset)
    assert crops.fit.shape == crops.check.shape == crops.targets.shape == (16, 3, SIDE, SIDE)
    assert [crops.tasks.count(task) for task in ("dehaze", "derain")] == [8, 8]
    sides = [{crop.numpy().tobytes() for crop in side} for side in (crops.fit, crops.check)]
    assert not sides[0] & sides[1]
    pairs = zip(crops.check, crops.targets, strict=True)
    assert {round(float((target - image / 2).mean()), 1) for image, target in pairs} == {0.0, 0.2, 0.4}


def test_few_of_them_are_of_every_task(dataset: Dataset) -> None:
    """Whatever the number."""
    crops = take_crops(dataset)
    assert [len(crops.few(count)) for count in (1, 4, 8)] == [2, 4, 8]
    positions = [index for index, task in enumerate(crops.tasks) if task == "derain"]
    assert any(bool((crop[0] == crops.fit[positions[0]]).all()) for crop in crops.few(2))
