"""The page's guard says what the package's says: the shared cases, answered by Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_vectors import answers
from tests.picture_vectors import picture, planes

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "guard_vectors.json").read_text())


def test_vectors() -> None:
    """Distance and verdict of every case; NaN travels as null."""
    asked = [{"ask": "guard", "rule": VECTORS["rule"], "tiles": case["tiles"]} for case in VECTORS["cases"]]
    for found, case in zip(answers(*asked), VECTORS["cases"], strict=True):
        assert found["foreign"] is case["foreign"], case["case"]
        expected = None if case["distance"] is None else pytest.approx(case["distance"], abs=1e-5)
        assert found["distance"] == expected, case["case"]


def test_scores_of_every_tile_come_out() -> None:
    """One for a picture that is served whole, else one for each tile."""
    image, size = picture(40, 70), {"height": 32, "width": 64}
    whole, cut = answers(
        {"ask": "restore", "picture": planes(image), "size": None},
        {"ask": "restore", "picture": planes(image), "size": size},
    )
    assert whole["tiles"] == [[pytest.approx(float(image[0, 0, 0]))]]
    assert len(cut["tiles"]) == len(cut["told"]) > 1
