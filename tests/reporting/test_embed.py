"""Pictures within a page: unchanged, compressed or shrunk."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moceir_edge.reporting.embed import embed


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A picture that hardly compresses."""
    path = tmp_path / "noisy.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 200, 3), np.uint8)).save(path)
    return path


def content(uri: str | None) -> bytes:
    """What a data URI holds."""
    assert uri is not None
    return base64.b64decode(uri.partition(",")[2])


def test_small_enough_stays_as_it_is(noisy: Path) -> None:
    """The very bytes, and no note."""
    embedded = embed(noisy, limit_bytes=1_000_000)
    assert content(embedded.uri) == noisy.read_bytes()
    assert embedded.note == ""


def test_large_one_fits_the_limit(noisy: Path) -> None:
    """As JPEG and smaller, and the note says so."""
    embedded = embed(noisy, limit_bytes=20_000)
    assert len(content(embedded.uri)) <= 20_000
    assert Image.open(io.BytesIO(content(embedded.uri))).size == (100, 80)
    assert embedded.note == "JPEG, at 1/2 of its size"


def test_flat_picture(tmp_path: Path) -> None:
    """It is not embedded."""
    path = tmp_path / "flat.png"
    Image.new("RGB", (8, 8), (128, 128, 128)).save(path)
    embedded = embed(path, limit_bytes=1000)
    assert (embedded.uri, embedded.swing) == (None, 0)
