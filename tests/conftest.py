"""What several tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.network.network import MoceIR
from tests.golden import SHARP, golden_network


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference values and test pictures that stands beside the checkout."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder shared, with reference values and test pictures, is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def golden_tiny() -> MoceIR:
    """The small size with golden weights and experts that matter; nobody may change it."""
    return golden_network("tiny", sharpness=SHARP)


@pytest.fixture(scope="session")
def golden_s() -> MoceIR:
    """The size S with golden weights and experts that matter; nobody may change it."""
    return golden_network("S", sharpness=SHARP)
