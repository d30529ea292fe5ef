"""The page pads, cuts and joins pictures as Python does: the same cases, answered by both."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge import tiling
from moceir_edge.metrics import psnr_db
from moceir_edge.runner import Image, Outputs, pad
from moceir_edge.tiling import restore_pixels

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


def picture(height: int, width: int, seed: int = 0) -> Image:
    """(3, H, W) on 8-bit steps."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (3, height, width)).astype(np.float32) / np.float32(255)


def planes(image: Image) -> dict[str, Any]:
    """As the page has it."""
    return {"height": image.shape[1], "width": image.shape[2], "data": image.ravel().tolist()}


def image_of(planes: dict[str, Any]) -> Image:
    """(3, H, W)."""
    return np.asarray(planes["data"], np.float32).reshape(3, planes["height"], planes["width"])


class AddsMean:
    """A model that sees all it is given, as attention does; agrees as far as the first value says."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        self.size = size

    def run(self, image: Image) -> Outputs:
        """Every pixel plus the mean."""
        return Outputs(image + image.mean(dtype=np.float64).astype(np.float32), float(image.flat[0]))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((5, 7), (8, 8)),
        ((9, 17), (16, 24)),
        ((3, 40), (8, 40)),
        ((8, 8), (8, 8)),
        ((1, 1), (16, 8)),
        ((20, 3), (64, 64)),
    ],
)
def test_padding(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """By reflection, by edge where a side is too short: one side may be the one, the other the other."""
    image = picture(*shape)
    (found,) = answers({"ask": "pad", "picture": planes(image), "height": size[0], "width": size[1]})
    np.testing.assert_array_equal(image_of(found), pad(image, size))


def test_starts_and_fades() -> None:
    """Tiles cover every length, and fade alike."""
    lengths = [(8, 64), (64, 64), (65, 64), (100, 64), (1000, 256), (257, 256)]
    shapes = [(40, 72), (8, 100), (256, 256)]
    starts = [{"ask": "starts", "length": length, "side": side} for length, side in lengths]
    fades = [{"ask": "fade", "height": height, "width": width} for height, width in shapes]
    found = answers(*starts, *fades)
    assert found[: len(starts)] == [tiling._starts(*each) for each in lengths]
    for shade, shape in zip(found[len(starts) :], shapes, strict=True):
        np.testing.assert_array_equal(np.asarray(shade, np.float32).reshape(shape), tiling._fade(shape))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((50, 70), (72, 72)), ((100, 130), (72, 80)), ((64, 300), (80, 96)), ((33, 41), None)],
)
def test_restoring(shape: tuple[int, int], size: tuple[int, int] | None) -> None:
    """Smaller than what is served, larger in one side or both, and any size; the least agreement counts."""
    image = picture(*shape)
    served = None if size is None else {"height": size[0], "width": size[1]}
    (found,) = answers({"ask": "restore", "picture": planes(image), "size": served})
    np.testing.assert_allclose(image_of(found["restored"]), restore_pixels(AddsMean(size), image), atol=1e-6)
    done, every = found["told"][-1]
    assert done == every == len(found["told"])
    corners = [(0, 0)] if size is None else tiling._corners(image.shape[1:], size)
    assert found["agreement"] == pytest.approx(min(float(image[0, top, left]) for top, left in corners))


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
        given = np.rint(image * 255).astype(np.float64)
        mixed = given + strength * (255 * restored.astype(np.float64) - given)
        wanted = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
        pixels = np.asarray(found, np.uint8).reshape(6, 5, 4)
        np.testing.assert_array_equal(pixels[..., :3].transpose(2, 0, 1), wanted)
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
