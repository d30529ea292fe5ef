"""The Android app pads, cuts and joins pictures as Python and the page do: the same cases, answered by all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from moceir_edge.metrics import WORST_DB, psnr_db
from moceir_edge.runner import pad
from moceir_edge.tile_plan import starts as starts_of
from moceir_edge.tiling import fade, tile_of
from tests.devices.jvm import answers
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

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "guard_vectors.json").read_text())


def test_padding() -> None:
    """By reflection, by edge where a side is too short: one side may be the one, the other the other."""
    asked = [
        {"ask": "pad", "picture": planes(picture(*shape)), "height": size[0], "width": size[1]}
        for shape, size in PADDINGS
    ]
    for found, (shape, size) in zip(answers(*asked), PADDINGS, strict=True):
        np.testing.assert_array_equal(image_of(found), pad(picture(*shape), size))


def test_starts_and_fades() -> None:
    """Tiles cover every length, and fade alike."""
    starts = [{"ask": "starts", "length": length, "side": side} for length, side in LENGTHS]
    fades = [{"ask": "fade", "height": height, "width": width} for height, width in FADES]
    found = answers(*starts, *fades)
    assert found[: len(starts)] == [starts_of(*each) for each in LENGTHS]
    for shade, shape in zip(found[len(starts) :], FADES, strict=True):
        np.testing.assert_array_equal(np.asarray(shade, np.float32).reshape(shape), fade(shape))


def test_restoring() -> None:
    """Smaller than what is served, larger in one side or both, and any size; the least agreement counts."""
    asked = [
        {
            "ask": "restore",
            "picture": planes(picture(*shape)),
            "size": None if size is None else {"height": size[0], "width": size[1]},
        }
        for shape, size in RESTORED
    ]
    for found, (shape, size) in zip(answers(*asked), RESTORED, strict=True):
        image = picture(*shape)
        np.testing.assert_allclose(image_of(found["restored"]), restore_pixels(AddsMean(size), image), atol=1e-6)
        done, every = found["told"][-1]
        assert done == every == len(found["told"])
        height, width = image.shape[1:]
        corners = [(0, 0)]
        if size is not None:
            corners = [(top, left) for top in starts_of(height, size[0]) for left in starts_of(width, size[1])]
        assert found["tiles"] == len(corners)
        assert found["agreement"] == pytest.approx(min(float(image[0, top, left]) for top, left in corners))


def test_tiles_of_large_pictures() -> None:
    """Where any size is served, a picture of more than two megapixels goes in tiles."""
    found = answers(*({"ask": "tile", "height": height, "width": width} for height, width in SERVED))
    assert [tuple(each) for each in found] == [tile_of(AddsMean(None), size) for size in SERVED]


def test_what_is_no_number_is_no_picture() -> None:
    """NaN and infinity of a model are told, not shown as black or white pixels."""
    image = picture(2, 3)
    pixels = {"rgba": [9] * 24, "strength": 1}
    values = planes(image)["data"]
    wrong = [[each, *values[1:]] for each in (None, 1e39, -1e39)]  # what is null in JSON is read as NaN
    asked = [{"ask": "rgba", **pixels, "restored": {**planes(image), "data": data}} for data in (values, *wrong)]
    fine, *refused = answers(*asked)
    assert len(fine) == 24
    for found in refused:
        assert found["problem"].startswith("the model gives NaN or infinity on this picture; choose another picture")


def test_bytes_and_floats() -> None:
    """8 bits in and out: round(255 clip(x)), also half way between picture and restored."""
    image, restored = picture(6, 5), picture(6, 5, seed=1) * 1.4 - 0.2
    rgba = np.concatenate([np.rint(image * 255), np.full((1, 6, 5), 7)]).astype(np.uint8).transpose(1, 2, 0)
    pixels = {"rgba": rgba.ravel().tolist(), "height": 6, "width": 5}
    source, full, half = answers(
        {"ask": "planes", **pixels},
        {"ask": "rgba", **pixels, "restored": planes(restored), "strength": 1},
        {"ask": "rgba", **pixels, "restored": planes(restored), "strength": 0.5},
    )
    np.testing.assert_array_equal(image_of(source), image)
    for strength, found in ((1.0, full), (0.5, half)):
        values = np.asarray(found, np.uint8).reshape(6, 5, 4)
        np.testing.assert_array_equal(values[..., :3].transpose(2, 0, 1), mixed_pixels(image, restored, strength))
        assert (values[..., 3] == 255).all()


def test_golden_files_and_parity(tmp_path: Path) -> None:
    """Both kinds of .npy that an artifact carries; PSNR as Python computes it, also where a value is no number."""
    image = picture(8, 16)
    np.save(tmp_path / "input.npy", np.rint(image[None] * 255).astype(np.uint8))
    np.save(tmp_path / "reference.npy", image[None] * 2)
    eight, floats, parity, worst = answers(
        {"ask": "npy", "path": str(tmp_path / "input.npy")},
        {"ask": "npy", "path": str(tmp_path / "reference.npy")},
        {"ask": "psnr", "one": planes(image), "other": planes(image * 2)},
        {"ask": "psnr", "one": planes(image), "other": {**planes(image), "data": [1e39, *planes(image)["data"][1:]]}},
    )
    np.testing.assert_array_equal(image_of(eight), image)
    np.testing.assert_array_equal(image_of(floats), image * 2)
    assert parity == pytest.approx(psnr_db(image, image * 2), abs=1e-9)
    assert worst == WORST_DB


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    """Another type, shape or order is no golden picture; a file cut short neither."""
    others: dict[str, NDArray[Any]] = {
        "type": np.zeros((1, 3, 8, 8), np.float64),
        "dimensions": np.zeros((3, 8, 8), np.uint8),
        "order": np.asfortranarray(np.zeros((1, 3, 8, 8), np.float32)),
        "batch": np.zeros((2, 3, 8, 8), np.uint8),
        "whole": np.zeros((1, 3, 8, 8), np.uint8),
    }
    for name, array in others.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "short.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-1])
    names = ("type", "dimensions", "order", "batch", "short")
    for found in answers(*({"ask": "npy", "path": str(tmp_path / f"{name}.npy")} for name in names)):
        assert "is no picture" in found["problem"]


def test_the_guard_judges_as_everywhere() -> None:
    """Distance and verdict of every shared case, and a warning exactly where the picture is foreign."""
    asked = [{"ask": "guard", "rule": VECTORS["rule"], "tiles": case["tiles"]} for case in VECTORS["cases"]]
    for found, case in zip(answers(*asked), VECTORS["cases"], strict=True):
        assert found["foreign"] is case["foreign"], case["case"]
        expected = None if case["distance"] is None else pytest.approx(case["distance"], abs=1e-5)
        assert found["distance"] == expected, case["case"]
        if case["foreign"]:
            assert "none of derain, desnow" in found["warning"]
            assert "60 %" in found["warning"]
            assert found["without_agreement"] == found["warning"].split(";")[0] + "."
        else:
            assert found["warning"] is None


def test_a_damaged_rule_is_refused() -> None:
    """One that no number can be told with."""
    changes: list[dict[str, Any]] = [{"pictures": [[]]}, {"pictures": 3}, {"neighbours": 99}, {"floor": 0}]
    found = answers(*({"ask": "guard", "rule": {**VECTORS["rule"], **change}, "tiles": []} for change in changes))
    assert all("damaged" in each["problem"] for each in found)
