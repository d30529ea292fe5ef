"""Pixels on the device are those of the package: padding, tiles, reading and writing give the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from moceir_edge import runner as package
from moceir_edge import tile_plan, tiling
from moceir_edge.data.images import MAX_PIXELS, Picture, read_picture, write_picture
from moceir_edge.errors import InputError
from moceir_edge.memory import Memory
from moceir_edge.streaming.decision import shrunk
from tests.devices.scripts import runner_script
from tests.parity.fakes import FakeRunner, noise

pictures, files = runner_script("pictures"), runner_script("picture_files")

Sides = st.integers(1, 300)
Eighths = st.integers(1, 25).map(lambda eighth: 8 * eighth)


def blurred(image: package.Image) -> package.Image:
    """Depends on the neighbours, so that a tile is not the whole."""
    return (image + np.roll(image, 1, 1) + np.roll(image, 1, 2)) / np.float32(3)


def on_device(image: package.Image) -> dict[str, Any]:
    """The same as a back end."""
    return {"restored": blurred(image), "agreement": np.float32(0.5)}


def test_constants_are_the_same() -> None:
    """What is written down twice."""
    for name in ("OVERLAP", "GRID", "SMALLEST", "SEAMLESS", "FAITHFUL"):
        assert getattr(pictures, name) == getattr(tile_plan, name)
    assert (pictures.WHOLE_PIXELS, pictures.AUTO_TILE) == (tiling.WHOLE_PIXELS, tiling.AUTO_TILE)
    assert files.MAX_PIXELS == MAX_PIXELS


@settings(max_examples=60, deadline=None)
@given(height=Sides, width=Sides, tile=st.tuples(Eighths, Eighths), fixed=st.booleans())
def test_tiles_give_the_same_numbers(height: int, width: int, tile: tuple[int, int], fixed: bool) -> None:
    """Of any size, in tiles of any size, chosen or fixed."""
    image, size = noise(height, height=height, width=width), tile if fixed else None
    runner = FakeRunner(blurred, size=size)
    bands = tiling.restored_bands(lambda part: package.run_padded(runner, part), tiling.Whole(image), tile)
    expected = np.concatenate([band for _, band in bands], axis=1)
    found, agreement = pictures.restore_pixels(on_device, image, size=size, tile=None if fixed else tile)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert agreement == 0.5


@settings(max_examples=60, deadline=None)
@given(height=Sides, width=Sides, tile=st.tuples(Eighths, Eighths))
def test_small_pictures_that_decide_are_the_same(height: int, width: int, tile: tuple[int, int]) -> None:
    """The picture made small, on which the route is decided."""
    image = noise(0, height=height, width=width)
    np.testing.assert_allclose(pictures.shrunk(image, tile), shrunk(tiling.Whole(image), tile), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(height=Sides, width=Sides, more=st.tuples(Sides, Sides))
def test_padding_gives_the_same_numbers(height: int, width: int, more: tuple[int, int]) -> None:
    """By reflection, or by edge."""
    image, size = noise(0, height=height, width=width), (height + more[0], width + more[1])
    assert np.array_equal(pictures.pad(image, size), package.pad(image, size))
    whole, _ = pictures.run_padded(on_device, image, None)
    assert np.array_equal(whole, package.run_padded(FakeRunner(blurred), image).restored)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 4000),
    width=st.integers(1, 4000),
    limit_mib=st.floats(50, 9000),
    most=st.none() | st.tuples(Eighths, Eighths),
)
def test_the_same_tiles_are_planned(height: int, width: int, limit_mib: float, most: tuple[int, int] | None) -> None:
    """For the same memory; where none fit, both say so."""
    memory = Memory(base_mib=80, mib_per_megapixel=660)
    try:
        expected: tuple[int, int] | None = tile_plan.plan_tile(height, width, memory, limit_mib=limit_mib, most=most)
    except InputError:
        expected = None
    assert pictures.plan_tile(height, width, memory.needed_mib, limit_mib, most) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_pictures_are_read_as_the_package_reads_them(suffix: str, orientation: int, tmp_path: Path) -> None:
    """Upright, whatever EXIF says."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    samples = np.rint(noise(3, height=24, width=40).transpose(1, 2, 0) * 255).astype(np.uint8)
    Image.fromarray(samples).save(tmp_path / f"a.{suffix}", exif=exif)
    expected, found = read_picture(tmp_path / f"a.{suffix}"), files.read_picture(tmp_path / f"a.{suffix}")
    assert np.array_equal(found.pixels, expected.pixels)
    assert found.alpha is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_are_read_as_the_package_reads_them(mode: str, tmp_path: Path) -> None:
    """Grey, palettes and transparency."""
    samples = np.rint(noise(4, height=16, width=24).transpose(1, 2, 0) * 255).astype(np.uint8)
    image = Image.fromarray(samples)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(samples[..., 0]))
    image.convert(mode).save(tmp_path / "a.png")
    expected, found = read_picture(tmp_path / "a.png"), files.read_picture(tmp_path / "a.png")
    assert np.array_equal(found.pixels, expected.pixels)
    if expected.alpha is None:
        assert found.alpha is None
    else:
        assert np.array_equal(found.alpha, np.rint(expected.alpha * 255))


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "jpg"])
def test_pictures_are_written_as_the_package_writes_them(suffix: str, tmp_path: Path) -> None:
    """The same samples, clipped, and nothing but the picture in the folder."""
    pixels = noise(5, height=16, width=24) * 1.4 - 0.2
    files.write_picture(files.Picture(pixels, None, None), tmp_path / "new" / f"a.{suffix}")
    write_picture(Picture(pixels), tmp_path / "old" / f"a.{suffix}")
    found, expected = (read_picture(tmp_path / name / f"a.{suffix}").pixels for name in ("new", "old"))
    assert np.array_equal(found, expected)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"a.{suffix}"]


def test_a_profile_and_transparency_stay(tmp_path: Path) -> None:
    """Colours are taken as they are, and their profile is written back."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    samples = np.rint(noise(6, height=16, width=24).transpose(1, 2, 0) * 255).astype(np.uint8)
    image = Image.fromarray(np.concatenate([samples, samples[..., :1]], axis=2))
    image.save(tmp_path / "a.png", icc_profile=profile)
    files.write_picture(files.read_picture(tmp_path / "a.png"), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as found:
        assert found.info["icc_profile"] == profile
        assert np.array_equal(np.asarray(found), np.asarray(image))


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, while a picture is written."""
    problem = runner_script("problem")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(problem.Problem, match=r"a\.png: cannot be written: No space left on device; free some space"):
        files.write_picture(files.Picture(noise(0), None, None), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
