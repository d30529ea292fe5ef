"""TensorRT and TensorRT for RTX behind one value: they share a Python API, though not their engines.

TensorRT runs on Jetson and data-centre GPUs and builds only where it runs. TensorRT for RTX builds ahead of time,
without a GPU, for RTX cards. Where both are installed, TensorRT is taken.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import torch

from moceir_edge.errors import MissingBackendError

REPAIR = "pip install 'moceir-edge[tensorrt]'"
NO_GPU = "no NVIDIA GPU here: accuracy rows come from ONNX Runtime running the same ONNX file"
_NAMES = {
    "tensorrt": "TensorRT",
    "tensorrt_rtx": "TensorRT for RTX",
    "tensorrt_rtx_bindings": "TensorRT for RTX",  # what the two packages without their wrapper install
}
_TURING = "7.5"
"""TensorRT for RTX 1.7 has no float32 matrix products there, and the float32 islands need them."""


@dataclass(frozen=True)
class Library:
    """An imported library; `name` is the product's, `module` has the common API."""

    module: Any
    name: str
    version: str

    @property
    def text(self) -> str:
        """Name and version for people."""
        return f"{self.name} {self.version}"

    @property
    def strongly_typed(self) -> bool:
        """Whether tensors keep the types of the ONNX file (`tensorrt_releases.STRONG_TYPING`, and all for RTX)."""
        return hasattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")

    @property
    def ahead_of_time(self) -> tuple[str, ...]:
        """Compute capabilities it builds for without a GPU, as in "8.6"; none if it builds for the GPU it sees."""
        known = getattr(self.module, "ComputeCapability", None)
        names = () if known is None else known.__members__
        found = sorted((int(name[2:]) for name in names if name.startswith("SM")), key=int)
        return tuple(text for text in (f"{value // 10}.{value % 10}" for value in found) if text != _TURING)


def load_library() -> Library:
    """The first library that is installed and loads; MissingBackendError if there is none."""
    for module_name, name in _NAMES.items():
        try:
            module = importlib.import_module(module_name)
        except (ImportError, OSError):
            continue
        return Library(module, name, str(module.__version__))
    raise MissingBackendError("tensorrt is not installed", REPAIR)


def kept_log(library: Library) -> Any:
    """A logger that prints nothing; its `messages` are the warnings and errors, each once."""

    class KeptLog(library.module.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.messages: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            text = f"{severity.name.lower()}: {' '.join(message.split())}"
            if int(severity) <= int(library.module.ILogger.Severity.WARNING) and text not in self.messages:
                self.messages.append(text)

    return KeptLog()


def gpu_missing() -> str | None:
    """None where PyTorch sees an NVIDIA GPU, else the reason why nothing can be executed here."""
    return None if torch.cuda.is_available() else NO_GPU
