"""Running an engine on the GPU of this machine, and whether it runs at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from moceir_edge.artifacts import Proof
from moceir_edge.errors import ArtifactError
from moceir_edge.program.program import GATES, IMAGE, Program
from moceir_edge.runner import Image, Outputs, outputs_from_arrays
from moceir_edge.targets.tensorrt_api import Library, kept_log
from moceir_edge.terms import GateState

TRIED = (64, 64)
"""Height and width at which an engine of an open size is tried."""

_ANOTHER_MACHINE = "run it on the kind of machine it was built for, or export again here"


class EngineRunner:
    """An engine as a runner; tensors live in PyTorch's memory on `device`."""

    def __init__(
        self, library: Library, engine: bytes, *, size: tuple[int, int] | None, device: torch.device | str = "cuda"
    ) -> None:
        self.size, self.device, self.log = size, torch.device(device), kept_log(library)
        self.provider = library.text
        trt = library.module
        self.runtime = trt.Runtime(self.log)
        self.engine = self.runtime.deserialize_cuda_engine(engine)
        if self.engine is None:
            raise ArtifactError(f"{library.text} does not load the engine: {self._reasons()}", _ANOTHER_MACHINE)
        self.context = self.engine.create_execution_context()
        if self.context is None:
            raise ArtifactError(f"{library.text} cannot prepare the engine: {self._reasons()}", "free some GPU memory")
        names = [self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)]
        self.outputs = [name for name in names if self.engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        return self._run({IMAGE: image})

    def run_gated(self, image: Image, gates: Image) -> Outputs:
        """See `TakesGates`."""
        return self._run({IMAGE: image, GATES: gates})

    def _run(self, arrays: dict[str, Image]) -> Outputs:
        given = {
            name: torch.from_numpy(np.ascontiguousarray(array[None], np.float32)).to(self.device)
            for name, array in arrays.items()
        }
        for name, tensor in given.items():
            if not self.context.set_input_shape(name, tuple(tensor.shape)):
                what = f"the engine does not serve '{name}' of shape {list(tensor.shape)}"
                raise ArtifactError(what, "export with a profile that holds it")
        results = {name: self._empty(name) for name in self.outputs}
        for name, tensor in {**given, **results}.items():
            self.context.set_tensor_address(name, tensor.data_ptr())
        if not self._execute():
            raise ArtifactError(f"the engine failed: {self._reasons()}", _ANOTHER_MACHINE)
        return outputs_from_arrays({name: tensor.cpu().numpy() for name, tensor in results.items()})

    def _empty(self, name: str) -> torch.Tensor:
        shape = tuple(int(length) for length in self.context.get_tensor_shape(name))
        return torch.empty(shape, dtype=torch.float32, device=self.device)

    def _execute(self) -> bool:
        """Run on a stream of its own: on the default one TensorRT waits more often than it has to."""
        if self.device.type != "cuda":
            return bool(self.context.execute_async_v3(0))
        stream: Any = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        done = bool(self.context.execute_async_v3(stream.cuda_stream))
        stream.synchronize()
        return done

    def _reasons(self) -> str:
        return "; ".join(self.log.messages[-3:]) or "no reason given"


def tried_once(runner: EngineRunner, program: Program, *, largest: tuple[int, int] | None = None) -> Proof:
    """Whether a loaded engine of `program` runs on a black picture, all experts alike, and gives finite numbers.

    largest: height and width at which an open size ends, if before `TRIED`.
    """
    height, width = runner.size or map(min, zip(TRIED, largest or TRIED, strict=True))
    image = np.zeros((3, height, width), np.float32)
    gates = np.full((len(program.layers), program.experts), 1 / program.experts, np.float32)
    try:
        outputs = runner.run_gated(image, gates) if GATES in program.inputs else runner.run(image)
    except (ArtifactError, RuntimeError) as error:  # PyTorch raises what goes wrong on the GPU as a RuntimeError
        said = error.what if isinstance(error, ArtifactError) else str(error)
        return Proof(state=GateState.FAILED, reason=f"{runner.provider}: {' '.join(said.split())}")
    if not np.isfinite(outputs.restored).all():
        return Proof(
            state=GateState.FAILED, reason=f"{runner.provider}: a black picture gives numbers that are not finite"
        )
    return Proof(state=GateState.PASSED, reason=runner.provider)
