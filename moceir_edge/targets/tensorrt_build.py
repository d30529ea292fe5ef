"""Parsing an ONNX file with NVIDIA's own parser, and building an engine with the script that runs on the device."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moceir_edge.resources import resource
from moceir_edge.targets.tensorrt_api import Library, kept_log
from moceir_edge.targets.tensorrt_recipe import BuildFlags


@dataclass(frozen=True)
class Parsed:
    """A network and what keeps it alive; `errors` are the parser's, none of them if it accepted the model."""

    library: Library
    builder: Any
    parser: Any
    network: Any
    log: Any
    errors: tuple[str, ...]

    @property
    def layers(self) -> int:
        """How many layers the network has."""
        return int(self.network.num_layers)

    def count(self, kind: str) -> int:
        """How many layers of a type, as in "QUANTIZE", the network has."""
        wanted = getattr(self.library.module.LayerType, kind)
        return sum(self.network.get_layer(index).type == wanted for index in range(self.layers))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the library has warned of until now."""
        return tuple(message for message in self.log.messages if message.startswith("warning"))


def parse(library: Library, model: bytes) -> Parsed:
    """Read an ONNX file as a strongly typed network; a refusal is part of the result."""
    log = kept_log(library)
    builder = library.module.Builder(log)
    network = builder.create_network(_network_flags(library))
    parser = library.module.OnnxParser(network, log)
    accepted = parser.parse(model)
    errors = tuple(_error_text(parser.get_error(index)) for index in range(parser.num_errors))
    if not accepted and not errors:
        errors = tuple(log.messages) or ("refused without a reason",)
    return Parsed(library, builder, parser, network, log, errors)


def build_engine(library: Library, model: Path, flags: BuildFlags) -> bytes | str:
    """The engine of an accepted model, or the reason why the library does not build it.

    The device's own script builds it, in a new process with nothing else in memory: so its bytes are reproducible.
    """
    script = resource("devices") / "jetson" / "build_engine.py"
    with tempfile.TemporaryDirectory() as scratch:
        engine = Path(scratch) / "engine"
        names = [library.module.__name__, str(model), flags.model_dump_json(), str(engine)]
        result = subprocess.run(
            [sys.executable, "-P", str(script), *names],
            env={**os.environ, "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode == 0:
            return engine.read_bytes()
    return " ".join(result.stderr.split())[-600:] or f"the builder ended with code {result.returncode}"


def _network_flags(library: Library) -> int:
    known = library.module.NetworkDefinitionCreationFlag
    names = ("STRONGLY_TYPED",) if library.strongly_typed else ("EXPLICIT_BATCH",)
    return sum(1 << int(getattr(known, name)) for name in names)


def _error_text(error: Any) -> str:
    place = " ".join(str(getattr(error, name)()) for name in ("node_operator", "node_name") if hasattr(error, name))
    message = " ".join(str(error.desc()).split())
    return f"{place}: {message}" if place.strip() else message
