"""Patches: what sample number n is follows from the seed and n alone."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from moceir_edge.terms import Task
from moceir_edge.training.patches import Numbers, Patches
from moceir_edge.training.pictures import Shelf
from moceir_edge.training.sources import TrainSample


def picture(path: Path, seed: int, *, size: tuple[int, int] = (48, 56)) -> Path:
    """A picture of noise."""
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def samples(tmp_path: Path) -> list[TrainSample]:
    """Three pairs that are equal pictures, and a clean picture for noise."""
    found = []
    for number in range(3):
        source, target = (picture(tmp_path / f"{name}{number}.png", number) for name in ("in", "out"))
        found.append(TrainSample((Task.DERAIN,), source, target))
    clean = picture(tmp_path / "clean.png", 7)
    return [*found, TrainSample((Task.DENOISE_25,), clean, clean, ("standard",))]


def patches_of(samples: list[TrainSample], *, seed: int = 0, cache_mib: int = 1) -> Patches:
    """Patches of 32 pixels for 2 routers of 4 experts."""
    return Patches(samples, patch=32, routers=(2, 4), seed=seed, cache_mib=cache_mib)


def test_the_same_number_is_the_same_patch(samples: list[TrainSample]) -> None:
    """In any object, with a cache or without; another seed or number is another patch."""
    first, again = patches_of(samples), patches_of(samples, cache_mib=0)
    for number in (0, 5, 1000):
        one, other = first[number], again[number]
        assert all(torch.equal(one[name], other[name]) for name in ("input", "target", "noise"))  # type: ignore[literal-required]
    assert not torch.equal(first[0]["target"], first[4]["target"])
    assert not torch.equal(first[0]["noise"], patches_of(samples, seed=1)[0]["noise"])


def test_a_pass_has_every_sample_once_in_an_order_of_its_own(samples: list[TrainSample]) -> None:
    """Passes differ, none leaves one out."""
    patches = patches_of(samples)
    passes = [[patches.sample(len(samples) * number + n).input for n in range(len(samples))] for number in range(8)]
    assert all(sorted(one) == sorted(sample.input for sample in samples) for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_pairs_are_cut_turned_and_flipped_together(samples: list[TrainSample]) -> None:
    """Equal pictures give equal patches; a clean one gets noise of its strength."""
    patches = patches_of(samples)
    kinds = set()
    for number in range(24):
        patch, noisy = patches[number], patches.sample(number).tasks == (Task.DENOISE_25,)
        kinds.add(noisy)
        difference = (patch["input"] - patch["target"]).std()
        assert patch["input"].shape == (3, 32, 32)
        assert 0.05 < difference < 0.12 if noisy else difference == 0
    assert kinds == {True, False}


def test_processes_share_the_numbers_without_gap_or_overlap() -> None:
    """Two processes with batches of 3 take what one with 6 takes, in the same steps; and so from any step on."""
    alone = list(islice(Numbers(first=12, batch=6), 18))
    both = [list(islice(Numbers(first=12, batch=3, process=n, processes=2), 9)) for n in range(2)]
    steps = [[number for one in both for number in one[3 * step : 3 * step + 3]] for step in range(3)]
    assert steps == [alone[6 * step : 6 * step + 6] for step in range(3)]


def test_a_damaged_or_small_picture_is_passed_over_and_named(samples: list[TrainSample], tmp_path: Path) -> None:
    """The next one takes its place; where all are damaged nothing is usable."""
    (tmp_path / "in0.png").write_bytes(b"\x89PNG damaged")
    picture(tmp_path / "out1.png", 1, size=(16, 16))
    patches = patches_of(samples)
    said = {line for number in range(16) for line in patches[number]["unreadable"].splitlines()}
    assert any("in0.png" in line for line in said)
    assert any("out1.png" in line and "equal size" in line for line in said)
    assert not patches_of(samples[:1])[0]["usable"]
    assert patches[0]["usable"]


def test_the_shelf_keeps_to_its_size(tmp_path: Path) -> None:
    """What was used last stays."""
    shelf = Shelf(1)
    paths = [picture(tmp_path / f"{n}.png", n, size=(256, 512)) for n in range(4)]
    for path in paths:
        assert shelf.read(path).shape == (3, 256, 512)
    assert list(shelf.known) == paths[-2:]
    assert shelf.used == sum(samples.nbytes for samples in shelf.known.values())
