"""Threads are those that were asked for, while they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from moceir_edge.errors import InputError
from moceir_edge.program.lower import lower
from moceir_edge.runner import MOST_THREADS, torch_threads
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.to_onnx import TARGET
from tests.targets.networks import exported, picture, recipe, small_network


def test_pytorch_gets_its_own_back() -> None:
    """Also after an error; None changes nothing."""
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(ZeroDivisionError), torch_threads(before + 1):
        _ = 1 / 0
    with torch_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, -1, MOST_THREADS + 1])
def test_numbers_that_are_none(threads: int) -> None:
    """The message says what was given and what is allowed."""
    with (
        pytest.raises(InputError, match=f"{threads} threads are not possible; give a number from 1 to 256"),
        torch_threads(threads),
    ):
        pass


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_the_runtime_gets_them(tmp_path: Path, threads: int | None) -> None:
    """ONNX Runtime is told; 0 stands for its own choice. The picture is the same within rounding."""
    if TARGET.missing() is not None:
        pytest.skip(str(TARGET.missing()))
    artifact = exported(TARGET, lower(small_network()), recipe("onnx"), tmp_path)
    runner = TARGET.runner(artifact, tmp_path, threads=threads)
    alone = TARGET.runner(artifact, tmp_path, threads=1)
    assert isinstance(runner, OnnxRunner)
    assert isinstance(alone, OnnxRunner)
    assert runner.session.get_session_options().intra_op_num_threads == (threads or 0)
    assert abs(runner.run(picture()).restored - alone.run(picture()).restored).max() < 1e-5
