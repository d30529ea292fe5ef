"""Golden weights (see `network.golden`), the published outputs for them, and pictures that are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from moceir_edge.network.golden import golden_network, golden_state

__all__ = ["SHARP", "drawn_pictures", "golden_arrays", "golden_network", "golden_state"]

SHARP = 30.0
"""Makes experts matter: with golden weights alone a picture without any expert is within 82 dB of the right one."""


def golden_arrays(shared: Path, size: str) -> dict[str, np.ndarray]:
    """Inputs `in_<case>` and outputs `out_<case>` of a published size."""
    with np.load(shared / "reference" / {"S": "moce_ir_s.npz", "base": "moce_ir.npz"}[size]) as arrays:
        return dict(arrays)


def drawn_pictures(count: int, *, height: int = 40, width: int = 48) -> torch.Tensor:
    """(count, 3, H, W) in [0, 1], from smooth to noisy and from dark to bright: they take different routes."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, -(-height // 8), -(-width // 8), generator=generator)
    coarse = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, :, :height, :width]
    fine = torch.rand(count, 3, height, width, generator=generator)
    ramp = torch.linspace(0, 1, count).reshape(-1, 1, 1, 1)
    return ((1 - ramp) * coarse + ramp * fine) * (0.2 + 0.8 * ramp)
