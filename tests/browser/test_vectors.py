"""The page pads, cuts and joins pictures as Python does: the same cases, answered by both."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.metrics import psnr_db
from moceir_edge.runner import pad
from moceir_edge.tile_plan import starts as starts_of
from moceir_edge.tiling import fade, tile_of
from tests.devices import ios_vectors
from tests.picture_vectors import (
    FADES,
    LENGTHS,
    PADDINGS,
    RESTORED,
    SERVED,
    AddsMean,
    image_of,
    mixed_pixels,
    picture,
    planes,
    restore_pixels,
)

ANSWERS = Path(__file__).parent / "answers.mjs"


def answers(*asked: dict[str, Any]) -> list[Any]:
    """What Node says."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed, and it runs the page's code")
    done = subprocess.run([node, str(ANSWERS)], input=json.dumps(asked), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(("shape", "size"), PADDINGS)
def test_padding(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """By reflection, by edge where a side is too short: one side may be the one, the other the other."""
    image = picture(*shape)
    (found,) = answers({"ask": "pad", "picture": planes(image), "height": size[0], "width": size[1]})
    np.testing.assert_array_equal(image_of(found), pad(image, size))


def test_starts_and_fades() -> None:
    """Tiles cover every length, and fade alike."""
    starts = [{"ask": "starts", "length": length, "side": side} for length, side in LENGTHS]
    fades = [{"ask": "fade", "height": height, "width": width} for height, width in FADES]
    found = answers(*starts, *fades)
    assert found[: len(starts)] == [starts_of(*each) for each in LENGTHS]
    for shade, shape in zip(found[len(starts) :], FADES, strict=True):
        np.testing.assert_array_equal(np.asarray(shade, np.float32).reshape(shape), fade(shape))


@pytest.mark.parametrize(("shape", "size"), RESTORED)
def test_restoring(shape: tuple[int, int], size: tuple[int, int] | None) -> None:
    """Smaller than what is served, larger in one side or both, and any size; the least agreement counts."""
    image = picture(*shape)
    served = None if size is None else {"height": size[0], "width": size[1]}
    (found,) = answers({"ask": "restore", "picture": planes(image), "size": served})
    np.testing.assert_allclose(image_of(found["restored"]), restore_pixels(AddsMean(size), image), atol=1e-6)
    done, every = found["told"][-1]
    assert done == every == len(found["told"])
    height, width = image.shape[1:]
    corners = [(0, 0)]
    if size is not None:
        corners = [(top, left) for top in starts_of(height, size[0]) for left in starts_of(width, size[1])]
    assert found["agreement"] == pytest.approx(min(float(image[0, top, left]) for top, left in corners))


def test_tiles_of_large_pictures() -> None:
    """Where any size is served, a picture of more than two megapixels goes in tiles."""
    found = answers(*({"ask": "tile", "height": height, "width": width} for height, width in SERVED))
    assert [tuple(each) for each in found] == [tile_of(AddsMean(None), size) for size in SERVED]


def test_what_is_no_number_is_no_picture() -> None:
    """NaN and infinity of a model are told, not drawn in black or white; and they are equal to nothing."""
    image = planes(picture(2, 3))
    wrong = [{**image, "data": [each, *image["data"][1:]]} for each in ("no number", 1e39, -1e39)]
    finite, *said = answers(*({"ask": "finite", "picture": each} for each in (image, *wrong)))
    assert finite == "finite"
    assert all(each.startswith("the model gives NaN or infinity on this picture: choose another") for each in said)
    pairs = [(image, image), *((image, each) for each in wrong), *((each, image) for each in wrong)]
    equal, *others = answers(*({"ask": "psnr", "one": one, "other": other} for one, other in pairs))
    assert equal == "Infinity"
    assert set(others) == {"NaN"}


def test_bytes_and_floats() -> None:
    """8 bits in and out: round(255 clip(x)), also half way between picture and restored."""
    image, restored = picture(6, 5), picture(6, 5, seed=1) * 1.4 - 0.2
    rgba = np.concatenate([np.rint(image * 255), np.full((1, 6, 5), 7)]).astype(np.uint8).transpose(1, 2, 0)
    source, full, half = answers(
        {"ask": "planes", "rgba": rgba.ravel().tolist(), "height": 6, "width": 5},
        {"ask": "rgba", "rgba": rgba.ravel().tolist(), "restored": planes(restored), "strength": 1},
        {"ask": "rgba", "rgba": rgba.ravel().tolist(), "restored": planes(restored), "strength": 0.5},
    )
    np.testing.assert_array_equal(image_of(source), image)
    for strength, found in ((1.0, full), (0.5, half)):
        pixels = np.asarray(found, np.uint8).reshape(6, 5, 4)
        np.testing.assert_array_equal(pixels[..., :3].transpose(2, 0, 1), mixed_pixels(image, restored, strength))
        assert (pixels[..., 3] == 255).all()


def test_golden_files_and_parity(tmp_path: Path) -> None:
    """Both kinds of .npy that an artifact carries; PSNR as Python computes it."""
    image = picture(8, 16)
    np.save(tmp_path / "input.npy", np.rint(image[None] * 255).astype(np.uint8))
    np.save(tmp_path / "reference.npy", image[None] * 2)
    eight, floats, parity = answers(
        {"ask": "npy", "path": str(tmp_path / "input.npy")},
        {"ask": "npy", "path": str(tmp_path / "reference.npy")},
        {"ask": "psnr", "one": planes(image), "other": planes(image * 2)},
    )
    np.testing.assert_array_equal(image_of(eight), image)
    np.testing.assert_array_equal(image_of(floats), image * 2)
    assert parity == pytest.approx(psnr_db(image, image * 2), abs=1e-6)


def test_times() -> None:
    """A profile in the browser is judged as one of the runner on a device."""
    cases = ios_vectors.vectors()["times"]
    for case, found in zip(cases, answers(*({"ask": "times", **case} for case in cases)), strict=True):
        assert found["steady"] == case["steady"], case["name"]
        for name in ("median", "p95", "slower_later"):
            assert found[name] == (None if case[name] is None else pytest.approx(case[name], rel=1e-9)), case["name"]


def test_equal_runs_are_no_correlation() -> None:
    """The rounding of their mean is not: 20 of them are enough for both ends of a median's interval."""
    assert answers({"ask": "whole", "runs_ms": [5.1] * 20}, {"ask": "whole", "runs_ms": [5.1] * 4}) == [True, False]


def test_its_version_is_the_packages() -> None:
    """Of the page that ran, whatever the bundle says."""
    assert answers({"ask": "version"}) == [version("moceir-edge")]


def test_timing() -> None:
    """The first run is told apart, warm-up ends once times have settled, and 20 runs count at least."""
    warm_up = [400.0, 300.0, 200.0, 150.0, 120.0, *[100.0] * 5]
    (found,) = answers({"ask": "timed", "milliseconds": [900.0, *warm_up, 1000.0]})
    assert found["first"] == 900.0
    assert found["warmUp"][: len(warm_up)] == warm_up
    assert found["steady"]
    assert len(found["runs"]) == 20
    assert found["began"][:2] == [0.0, 1.0]
