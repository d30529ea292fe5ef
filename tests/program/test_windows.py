"""Windows as matrix products against the Fourier transform they stand for, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.network.architecture import WINDOWS
from moceir_edge.program import windows

Array = np.ndarray


def spectrum(x: Array) -> Array:
    """The half spectrum of (p, p) from constant matrices, as complex numbers."""
    side = len(x)
    wave = windows.forward_rows(side) @ x @ windows.forward_columns(side)
    top, low = wave[:side], wave[side:]
    half = side // 2 + 1
    return (top[:, :half] + low[:, half:]) + 1j * (low[:, :half] - top[:, half:])


def picture(spectrum: Array) -> Array:
    """Back to (p, p)."""
    side = len(spectrum)
    stacked = windows.inverse_rows(side) @ np.concatenate([spectrum.real, spectrum.imag])
    real, imaginary = windows.inverse_columns(side)
    return stacked[:side] @ real + stacked[side:] @ imaginary


def drawn(side: int, *, seed: int) -> Array:
    """A window without symmetry."""
    return np.random.default_rng(seed).standard_normal((side, side))


@pytest.mark.parametrize("side", WINDOWS)
def test_the_spectrum_is_the_orthonormal_one(side: int) -> None:
    """Equal to rfft2 with norm="ortho"."""
    x = drawn(side, seed=1)
    assert spectrum(x) == pytest.approx(np.fft.rfft2(x, norm="ortho"), abs=1e-12)


@pytest.mark.parametrize("side", WINDOWS)
def test_there_and_back_is_the_identity(side: int) -> None:
    """The orthonormal transform is its own measure."""
    x = drawn(side, seed=2)
    assert picture(spectrum(x)) == pytest.approx(x, abs=1e-12)


@pytest.mark.parametrize("side", WINDOWS)
def test_the_product_is_the_circular_convolution_over_the_side(side: int) -> None:
    """Circular convolution, written out as a sum, divided by the window's side."""
    q, k = drawn(side, seed=3), drawn(side, seed=4)
    written_out = sum(
        q[row, column] * np.roll(k, (row, column), (0, 1)) for row in range(side) for column in range(side)
    )
    assert picture(spectrum(q) * spectrum(k)) * side == pytest.approx(written_out, abs=1e-10)


def test_a_spectrum_that_is_not_symmetric_loses_what_irfft_ignores() -> None:
    """The imaginary parts of the first and last column's own mirror do not reach the picture, as in irfft2."""
    generator = np.random.default_rng(5)
    given = generator.standard_normal((8, 5)) + 1j * generator.standard_normal((8, 5))
    assert picture(given) == pytest.approx(np.fft.irfft2(given, s=(8, 8), norm="ortho"), abs=1e-12)


@pytest.mark.parametrize(("value", "largest"), [(3.0, 9_216), (8.0, 65_536)])
def test_constants_grow_with_the_window(value: float, largest: float) -> None:
    """A constant 3 gives 9,216 in the product of spectra at side 32; a constant 8 is beyond float16."""
    product = spectrum(np.full((32, 32), value)) ** 2
    assert np.abs(product).max() == pytest.approx(largest)
    assert (largest > float(np.finfo(np.float16).max)) == (value == 8.0)
