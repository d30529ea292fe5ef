"""The reference is recorded once, picture by picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.parity.reference import output_path, read_output, record_reference
from tests.parity.fakes import dataset, noise, sample

DATA = dataset(sample("derain/0", noise(0)), sample("derain/1", noise(1, height=13)))


@pytest.fixture
def model(golden_tiny: MoceIR) -> LoadedModel:
    """The small golden model."""
    return LoadedModel(golden_tiny, "golden")


def test_outputs_are_those_of_the_network(model: LoadedModel, tmp_path: Path) -> None:
    """In the padded size, and described by the hashes of model and data."""
    reference = record_reference(model, DATA, tmp_path, size=None)
    with torch.inference_mode():
        direct = model.network(torch.from_numpy(noise(0))[None]).image[0].numpy()
    assert np.array_equal(read_output(tmp_path, DATA.samples[0]), direct)
    assert read_output(tmp_path, DATA.samples[1]).shape == (3, 16, 24)
    assert (reference.model_sha256, reference.data_sha256) == (model.sha256, DATA.sha256)
    assert reference.pictures == ("derain/0", "derain/1")
    assert reference.torch == torch.__version__


def test_what_is_recorded_is_not_run_again(model: LoadedModel, tmp_path: Path) -> None:
    """A killed recording goes on where it stopped, and leaves nothing temporary."""
    record_reference(model, DATA, tmp_path, size=None)
    first, second = (output_path(tmp_path, sample) for sample in DATA.samples)
    np.save(first, np.zeros((3, 16, 24), np.float32))
    second.unlink()
    record_reference(model, DATA, tmp_path, size=None)
    assert not read_output(tmp_path, DATA.samples[0]).any()
    assert read_output(tmp_path, DATA.samples[1]).any()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_fixed_size_is_recorded_in_that_size(model: LoadedModel, tmp_path: Path) -> None:
    """As the artifact will see it."""
    reference = record_reference(model, DATA, tmp_path, size=(8, 16))
    assert reference.size == (8, 16)
    assert all(read_output(tmp_path, sample).shape == (3, 8, 16) for sample in DATA.samples)
