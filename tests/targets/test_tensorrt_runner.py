"""The runner of engines, with a stand-in for TensorRT that computes on the CPU."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from moceir_edge.errors import ArtifactError
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.targets.tensorrt_api import Library
from moceir_edge.targets.tensorrt_runner import EngineRunner, tried_once
from moceir_edge.terms import GateState
from tests.targets.networks import small_network


class FakeContext:
    """Writes twice the picture into the output, as an engine on a GPU would through its addresses."""

    def __init__(self, fault: float | Exception | None = None) -> None:
        self.fault = fault
        self.shape: tuple[int, ...] = ()
        self.gates: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if name == "gates":
            self.gates = shape
            return True
        self.shape = shape
        return shape[2:] == (8, 16)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        if isinstance(self.fault, Exception):
            raise self.fault
        count = int(np.prod(self.shape))
        given, result = (
            np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.addresses[n]))
            for n in ("image", "restored")
        )
        result[:] = 2 * given if self.fault is None else self.fault
        return True


def fake_library(*, loads: bool = True, fault: float | Exception | None = None) -> Library:
    """The part of TensorRT's API that the runner uses, on the CPU."""
    engine = SimpleNamespace(
        create_execution_context=lambda: FakeContext(fault),
        num_io_tensors=2,
        get_tensor_name=("image", "restored").__getitem__,
        get_tensor_mode={"image": "in", "restored": "out"}.__getitem__,
    )

    class Logger:
        """The base of the kept log."""

    module = SimpleNamespace(
        ILogger=Logger,
        TensorIOMode=SimpleNamespace(OUTPUT="out"),
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=lambda data: engine if loads else None),
    )
    return Library(module, "TensorRT", "0")


def test_runner_passes_pictures_through_addresses() -> None:
    """The picture goes in and the result comes out as NumPy arrays of the right shape."""
    runner = EngineRunner(fake_library(), b"engine", size=(8, 16), device="cpu")
    image = np.random.default_rng(0).random((3, 8, 16), np.float32)
    np.testing.assert_array_equal(runner.run(image).restored, 2 * image)


def test_runner_names_a_size_it_does_not_serve() -> None:
    """A picture outside the engine's profile is the user's error, with its size."""
    runner = EngineRunner(fake_library(), b"engine", size=None, device="cpu")
    with pytest.raises(ArtifactError, match=r"does not serve 'image' of shape \[1, 3, 8, 24\]"):
        runner.run(np.zeros((3, 8, 24), np.float32))


def test_runner_refuses_a_foreign_engine() -> None:
    """An engine that TensorRT does not load is an error with a remedy."""
    with pytest.raises(ArtifactError, match="does not load the engine"):
        EngineRunner(fake_library(loads=False), b"engine", size=None, device="cpu")


@pytest.fixture(scope="module")
def program() -> Program:
    """What the engine would be of."""
    return lower(small_network())


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (None, GateState.PASSED, "TensorRT 0"),
        (float("nan"), GateState.FAILED, "not finite"),
        (
            RuntimeError("CUDA error: an illegal\nmemory access"),
            GateState.FAILED,
            "TensorRT 0: CUDA error: an illegal mem",
        ),
    ],
)
def test_an_engine_that_does_not_run_has_failed(
    fault: float | Exception | None, state: GateState, reason: str, program: Program
) -> None:
    """It was loaded, so what goes wrong from there on is its own fault, and no traceback."""
    proof = tried_once(EngineRunner(fake_library(fault=fault), b"engine", size=(8, 16), device="cpu"), program)
    assert proof.state is state
    assert reason in proof.reason


def test_an_engine_that_serves_no_size_has_failed(program: Program) -> None:
    """With the size in the reason; one whose sizes end early is tried with what it says it serves."""
    runner = EngineRunner(fake_library(), b"engine", size=None, device="cpu")
    failed = tried_once(runner, program)
    assert failed.state is GateState.FAILED
    assert "does not serve 'image' of shape [1, 3, 64, 64]" in failed.reason
    assert tried_once(runner, program, largest=(8, 16)).state is GateState.PASSED


def test_an_engine_that_takes_gates_is_given_them() -> None:
    """One for each expert of each routed layer."""
    gated = lower(small_network(), gates_input=True)
    runner = EngineRunner(fake_library(), b"engine", size=(8, 16), device="cpu")
    assert tried_once(runner, gated).state is GateState.PASSED
    assert runner.context.gates == (1, len(gated.layers), gated.experts)
    assert gated.experts > 1
