"""What the tests of targets share."""

from __future__ import annotations

import pytest

from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from tests.targets.networks import small_network


@pytest.fixture(scope="session")
def program() -> Program:
    """The small network, with guard."""
    return lower(small_network())
