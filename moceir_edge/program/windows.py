"""Window transforms as constant matrix products: what a graph without DFT uses for the frequency attention.

With orthonormal transforms the result is the circular convolution divided by the window's side p, which keeps it small
enough for float16; the normalization that follows absorbs the factor exactly with epsilon / p^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def forward_rows(window: int) -> Matrix:
    """(2p, p): the real, then the imaginary part of the orthonormal transform along the rows' axis."""
    cosine, sine = _waves(window)
    return np.concatenate([cosine, -sine]) / window**0.5


def forward_columns(window: int) -> Matrix:
    """(p, 2m), m = p/2 + 1: cosines, then sines, of the orthonormal real transform along the columns' axis."""
    cosine, sine = _waves(window)
    half = window // 2 + 1
    return np.concatenate([cosine[:, :half], sine[:, :half]], 1) / window**0.5


def inverse_rows(window: int) -> Matrix:
    """(2p, 2p): the complex inverse along the rows' axis, for the real part stacked on the imaginary part."""
    cosine, sine = _waves(window)
    return np.block([[cosine, -sine], [sine, cosine]]) / window**0.5


def inverse_columns(window: int) -> tuple[Matrix, Matrix]:
    """(m, p) twice: what the real and the imaginary part of the half spectrum contribute to the picture."""
    cosine, sine = _waves(window)
    half = window // 2 + 1
    weight = np.full((half, 1), 2.0)
    weight[0] = weight[-1] = 1.0
    return weight * cosine[:half] / window**0.5, -weight * sine[:half] / window**0.5


def _waves(window: int) -> tuple[Matrix, Matrix]:
    steps = np.arange(window)
    angle = 2 * np.pi * (np.outer(steps, steps) % window) / window
    return np.cos(angle), np.sin(angle)
