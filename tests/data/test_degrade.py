"""Degradations: the same for the same seed, as strong as their names say, and made as their sources say."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from moceir_edge.data.camera import Shake, shake_kernel
from moceir_edge.data.degradations import DEGRADATIONS, degradation_of, strengths_of
from moceir_edge.data.degrade import add_noise, compose, degrade
from moceir_edge.data.images import read_picture
from moceir_edge.data.weather import smooth_depth
from moceir_edge.errors import InputError
from moceir_edge.resources import resource
from moceir_edge.terms import Task

NAMES = sorted(DEGRADATIONS)
DIGESTS = {
    (Task.DENOISE_15, "standard"): "cbaef3c85517d95c",
    (Task.DENOISE_25, "standard"): "1f0e9d92bcc2f35b",
    (Task.DENOISE_50, "standard"): "302255c1796c5264",
    (Task.DERAIN, "light"): "5d99fa5b9fc5c837",
    (Task.DERAIN, "heavy"): "8860cba109d08005",
    (Task.DERAIN, "cdd11"): "f217a8b5974e4807",
    (Task.DEHAZE, "indoor"): "a8a9ff9ff920f3fb",
    (Task.DEHAZE, "outdoor"): "f1a3e885401953c7",
    (Task.DEHAZE, "cdd11"): "912dbf3d6ad3f178",
    (Task.DEBLUR, "light"): "da629425aa5e3e9c",
    (Task.DEBLUR, "levin"): "0e7a22b87a892224",
    (Task.LOWLIGHT, "dim"): "c975616665a7d6bb",
    (Task.LOWLIGHT, "lol"): "098a19d518c27703",
    (Task.LOWLIGHT, "cdd11"): "8e6283231621418e",
    (Task.DESNOW, "light"): "93415c8ec02eab92",
    (Task.DESNOW, "heavy"): "fa65cf4913c9d5cc",
    (Task.DESNOW, "cdd11"): "4bb24679a46be23d",
}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A bundled photograph, (3, 192, 288) in [0, 1]."""
    return read_picture(resource("calibration") / "pictures" / "coffee.png").pixels


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR in dB, peak 1."""
    return float(-10 * np.log10(np.mean((first.astype(np.float64) - second) ** 2)))


def digest(pixels: np.ndarray) -> str:
    """Hash of the 8-bit samples."""
    return hashlib.sha256(np.rint(pixels * 255).astype(np.uint8).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(("task", "strength"), NAMES)
def test_a_degraded_picture_is_an_8_bit_picture(photo: np.ndarray, task: Task, strength: str) -> None:
    """Every degradation gives float32 in [0, 1] on the 8-bit grid, of equal size, and changes the picture."""
    result = degrade(photo, task, strength, seed=5)
    assert result.shape == photo.shape
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    assert result.min() >= 0
    assert result.max() <= 1
    np.testing.assert_allclose(result * 255, np.rint(result * 255), atol=1e-4)
    assert psnr(result, photo) < 35


@pytest.mark.parametrize(("task", "strength"), NAMES)
def test_the_seed_decides(photo: np.ndarray, task: Task, strength: str) -> None:
    """Equal seeds give the picture that was made when this test was written; another seed gives another."""
    result = degrade(photo, task, strength, seed=5)
    assert digest(result) == DIGESTS[task, strength]
    assert digest(degrade(photo, task, strength, seed=6)) != digest(result)


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_noise_is_that_of_the_published_tests(photo: np.ndarray, sigma: int) -> None:
    """Noise equals clean + N(0, sigma), clipped, rounded to 8 bit, drawn as (H, W, 3) from the seed of its name."""
    seed = int.from_bytes(hashlib.sha256(f"3096.jpg:{sigma}".encode()).digest()[:8], "little")
    clean = np.rint(photo.transpose(1, 2, 0) * 255)
    expected = np.rint(np.clip(clean + np.random.default_rng(seed).normal(0, sigma, clean.shape), 0, 255))
    noisy = add_noise(photo, sigma, file_name="3096.jpg")
    np.testing.assert_array_equal(np.rint(noisy.transpose(1, 2, 0) * 255), expected)
    assert not np.array_equal(noisy, add_noise(photo, sigma, file_name="3097.jpg"))


def test_noise_levels_have_the_psnr_of_their_sigma() -> None:
    """On mid grey, which never clips, sigma 15 is 24.6 dB and sigma 25 is 20.2 dB."""
    grey = np.full((3, 128, 128), 128 / 255, np.float32)
    assert psnr(add_noise(grey, 15, file_name="grey.png"), grey) == pytest.approx(24.61, abs=0.1)
    assert psnr(add_noise(grey, 25, file_name="grey.png"), grey) == pytest.approx(20.17, abs=0.1)


@pytest.mark.parametrize(
    ("task", "strength", "lowest", "highest"),
    [
        (Task.DERAIN, "light", 22, 29),
        (Task.DERAIN, "heavy", 9, 15),
        (Task.DEHAZE, "indoor", 7, 17),
        (Task.DEHAZE, "outdoor", 9, 22),
        (Task.DEBLUR, "levin", 18, 30),
        (Task.LOWLIGHT, "lol", 4.5, 12),
        (Task.DESNOW, "heavy", 14, 22),
    ],
)
def test_strengths_are_those_of_their_test_sets(
    photo: np.ndarray, task: Task, strength: str, lowest: float, highest: float
) -> None:
    """The mean PSNR of the input lies in the range of the real set that a strength imitates."""
    values = [psnr(degrade(photo, task, strength, seed=seed), photo) for seed in range(4)]
    assert lowest < np.mean(values) < highest


def test_rain_and_snow_only_brighten(photo: np.ndarray) -> None:
    """Streaks are added and flakes cover with white: no sample gets darker."""
    for task, strength in ((Task.DERAIN, "heavy"), (Task.DERAIN, "cdd11"), (Task.DESNOW, "heavy")):
        assert (degrade(photo, task, strength, seed=1) - photo).min() > -1 / 255


def test_darkness_only_darkens() -> None:
    """Low light takes most of the light away, everywhere on average."""
    grey = np.full((3, 64, 64), 0.5, np.float32)
    assert degrade(grey, Task.LOWLIGHT, "lol", seed=1).mean() < 0.15


def test_haze_follows_the_depth_it_is_given(photo: np.ndarray) -> None:
    """What is near stays, what is far goes towards one light."""
    depth = np.zeros(photo.shape[1:])
    depth[:, 144:] = 1.0
    hazy = degrade(photo, Task.DEHAZE, "cdd11", seed=3, depth=depth)
    np.testing.assert_allclose(hazy[:, :, :144], photo[:, :, :144], atol=1 / 255)
    assert hazy[:, :, 144:].std() < 0.8 * photo[:, :, 144:].std()
    with pytest.raises(InputError, match="a depth map of"):
        degrade(photo, Task.DEHAZE, "cdd11", seed=3, depth=depth[1:])


def test_a_made_depth_map_recedes_upwards() -> None:
    """The top of a made depth map is farther than its bottom."""
    depth = smooth_depth((60, 90), np.random.default_rng(0))
    assert depth.shape == (60, 90)
    assert (depth.min(), depth.max()) == (0, 1)
    assert depth[:15].mean() > depth[-15:].mean() + 0.3


def test_blur_keeps_the_light_and_the_place() -> None:
    """A shake kernel sums to one, is centred, and reaches as far as its strength says."""
    for seed in range(5):
        kernel = shake_kernel(Shake(reach_px=(12, 25), steps=300, turn=0.35), np.random.default_rng(seed))
        rows, columns = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - kernel.shape[0] // 2
        assert kernel.sum() == pytest.approx(1)
        assert kernel.min() >= 0
        assert abs((kernel * rows).sum()) < 1e-9
        assert abs((kernel * columns).sum()) < 1e-9
        extent = max(np.ptp(rows[kernel > 0]), np.ptp(columns[kernel > 0]))
        assert 12 <= extent <= 27


def test_small_pictures_are_degraded_too() -> None:
    """A picture smaller than a streak or kernel is no error."""
    small = np.full((3, 8, 9), 0.5, np.float32)
    for task, strength in NAMES:
        assert degrade(small, task, strength, seed=0).shape == small.shape


def test_composites_have_all_their_degradations(photo: np.ndarray) -> None:
    """Rain and haze together differ from either, whatever order they are named in."""
    both = compose(photo, {Task.DERAIN: "cdd11", Task.DEHAZE: "cdd11"}, seed=4)
    turned = compose(photo, {Task.DEHAZE: "cdd11", Task.DERAIN: "cdd11"}, seed=4)
    np.testing.assert_array_equal(both, turned)
    assert both.std() < compose(photo, {Task.DERAIN: "cdd11"}, seed=4).std()


def test_an_unknown_strength_names_the_known() -> None:
    """The message lists what can be asked for."""
    with pytest.raises(InputError, match="derain has no strength 'wild'; use one of light, heavy, cdd11"):
        degradation_of(Task.DERAIN, "wild")
    assert strengths_of(Task.DENOISE_25) == ("standard",)
