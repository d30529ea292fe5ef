"""What several tests need."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from moceir_edge.network.network import MoceIR
from tests.bundling.bundles import small_bundle, unpacked
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


@pytest.fixture(scope="session")
def made_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that nobody changes; artifact and model.safetensors lie beside it."""
    return small_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def bundle_folder(made_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same unpacked; nobody changes it."""
    return unpacked(made_bundle, tmp_path_factory.mktemp("unpacked"))


@pytest.fixture
def bundle_copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy of the unpacked bundle."""
    return Path(copytree(bundle_folder, tmp_path / bundle_folder.name))
