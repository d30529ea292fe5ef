"""Tiles cover a picture, fade into each other, and come close to the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moceir_edge import tiling
from moceir_edge.data.images import read_picture
from moceir_edge.demonstration import MODEL
from moceir_edge.errors import ArtifactError
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import load
from moceir_edge.resources import resource
from moceir_edge.runner import Image, NetworkRunner, Outputs, run_padded
from moceir_edge.tile_plan import OVERLAP
from moceir_edge.tiling import Whole, restored_bands
from tests.parity.fakes import FakeRunner, noise, plain
from tests.picture_vectors import restore_pixels


@dataclass
class Counting:
    """An identity that remembers the sizes it was given."""

    size: tuple[int, int] | None = None
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, image: Image) -> Outputs:
        self.seen.append(image.shape[1:])
        return Outputs(image)


def identity(size: tuple[int, int] | None = None) -> FakeRunner:
    """Gives the picture back."""
    return FakeRunner(lambda image: image, size=size)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), tile=st.integers(9, 25).map(lambda eighth: 8 * eighth))
def test_identity_stays_the_picture(height: int, width: int, tile: int) -> None:
    """Every pixel is covered, and weights of overlapping tiles add up to one, whatever the sizes."""
    image = noise(0, height=height, width=width)
    np.testing.assert_allclose(restore_pixels(identity(), image, tile=tile), image, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (16, 40), (64, 64), (72, 136)])
def test_a_fixed_size_sees_no_other(size: tuple[int, int]) -> None:
    """Tiles at the border are as large as all others; sizes below the overlap work, too."""
    runner = Counting(size)
    image = noise(0, height=100, width=130)
    np.testing.assert_allclose(restore_pixels(runner, image), image, atol=1e-6)
    assert set(runner.seen) == {size}


def test_a_small_picture_is_one_padded_tile() -> None:
    """No tile is larger than needed where any size is served; a fixed size is filled up."""
    free, fixed = Counting(), Counting((64, 64))
    for runner in (free, fixed):
        assert restore_pixels(runner, noise(0, height=33, width=20), tile=None).shape == (3, 33, 20)
    assert free.seen == [(40, 24)]
    assert fixed.seen == [(64, 64)]


def test_large_pictures_are_tiled_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit of pixels, in tiles of the automatic size."""
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 100 * 100)
    monkeypatch.setattr(tiling, "AUTO_TILE", 96)
    runner = Counting()
    restore_pixels(runner, noise(0, height=100, width=100))
    assert runner.seen == [(104, 104)]
    restore_pixels(runner, noise(0, height=100, width=101))
    assert set(runner.seen[1:]) == {(96, 96)}


def jumping() -> Callable[[Image], Image]:
    """Makes every tile a little brighter than the one before."""
    count = iter(range(1000))
    return lambda image: image + np.float32(0.1 * next(count))


def test_seams_are_ramps() -> None:
    """Where neighbours disagree by 0.1, it is spread over twice the overlap: no two pixels show a step of it."""
    restored = restore_pixels(FakeRunner(jumping()), plain(height=256, width=900), tile=256)
    assert float(np.ptp(restored)) > 0.2
    steps = np.abs(np.diff(restored[0], axis=1)).max()
    assert steps < 2.5 * 0.1 / (2 * OVERLAP)


def test_bands_come_from_top_to_bottom() -> None:
    """Each as soon as no tile reaches into it any more: the next row of tiles has not been cut yet."""
    image, cut = noise(0, height=500, width=300), list[tuple[int, int]]()

    class Watched(Whole):
        def region(self, top: int, left: int, size: tuple[int, int]) -> Image:
            cut.append((top, left))
            return super().region(top, left, size)

    done = []
    for top, band in restored_bands(Outputs, Watched(image), (256, 256)):
        done.append((top, band.shape[1], len(cut)))
        np.testing.assert_allclose(band, image[:, top : top + band.shape[1]], atol=1e-6)
    assert cut == [(0, 0), (0, 44), (192, 0), (192, 44), (244, 0), (244, 44)]
    assert done == [(0, 192, 2), (192, 52, 4), (244, 256, 6)]


def test_what_is_not_clipped_stays_so() -> None:
    """Clipping is the caller's."""
    restored = restore_pixels(FakeRunner(lambda image: image * 3 - 1), noise(0, height=80, width=120), tile=72)
    assert restored.min() < -0.5
    assert restored.max() > 1.5


def test_a_size_that_a_fixed_shape_does_not_serve() -> None:
    """Without tiles there is no way; the message says both sizes."""
    with pytest.raises(ArtifactError, match="a picture of 72x64 is larger than the 64x64 this artifact serves"):
        run_padded(identity((64, 64)), plain(height=64, width=72))


def test_tiles_of_a_network_come_close_to_the_whole() -> None:
    """A photograph of 288x192 in tiles of 192: 45 dB are asked for, 54.9 dB measured. Smaller tiles see too little."""
    image = read_picture(resource("calibration") / "pictures" / "coffee.png").pixels
    runner = NetworkRunner(load(MODEL).network)
    whole, tiled = restore_pixels(runner, image), restore_pixels(runner, image, tile=192)
    assert not np.array_equal(whole, tiled)
    assert psnr_db(whole, tiled) >= 45
