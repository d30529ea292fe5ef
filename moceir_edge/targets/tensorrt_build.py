"""Parsing an ONNX file with NVIDIA's own parser, and building an engine with the scripts that run on the device.

What a network or an engine must agree with is asked by the device's own scripts too, so that here and there it is the
same question.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from moceir_edge.records import Record
from moceir_edge.resources import resource
from moceir_edge.targets.tensorrt_api import Library, kept_log
from moceir_edge.targets.tensorrt_recipe import BuildFlags, BuildRecipe


class Agreement(Record):
    """A parsed network against its plan: quantizing layers, planned convolutions that have all of theirs, the share of
    MACs in those, and what is not as planned.
    """

    quantize: int
    dequantize: int
    convolutions: int
    macs_share: float
    problem: str | None


@dataclass(frozen=True)
class Built:
    """An engine, and the engine inspector's account of it where a GPU here takes it."""

    engine: bytes
    layers: str | None = None

    def summary(self, build: BuildRecipe) -> str | None:
        """What runs in which precision, against the plan, in one line."""
        if self.layers is None:
            return None
        script = device_script("build_layers")
        try:
            return str(script.account(self.layers, build.model_dump(mode="json"))["summary"])
        except script.UnreadableError as error:
            return str(error)


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

    def agreement(self, build: BuildRecipe) -> Agreement:
        """The network against the plan of precisions."""
        compare = device_script("build_plan").compare
        found = compare(self.library.module, self.network, build.model_dump(mode="json"))
        return Agreement.model_validate(found)

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


def build_engine(library: Library, model: Path, flags: BuildFlags, *, inspect: bool = False) -> Built | str:
    """The engine of an accepted model, or the reason why the library does not build it.

    The device's own script builds it, in a new process with nothing else in memory: so its bytes are reproducible.
    inspect: ask what the engine's layers became, which takes a GPU that loads it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        engine, layers = Path(scratch) / "engine", Path(scratch) / "layers"
        names = [library.module.__name__, str(model), flags.model_dump_json(), str(engine)]
        result = subprocess.run(
            [sys.executable, "-B", str(_script_file("build_engine")), *names, *([str(layers)] if inspect else [])],
            env={**os.environ, "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode == 0:
            return Built(engine.read_bytes(), layers.read_text(encoding="utf-8") if layers.is_file() else None)
    return " ".join(result.stderr.split())[-600:] or f"the builder ended with code {result.returncode}"


def device_script(name: str) -> ModuleType:
    """A script of devices/jetson that needs none of the others, as a module."""
    spec = importlib.util.spec_from_file_location(name, _script_file(name))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _script_file(name: str) -> Path:
    return resource("devices") / "jetson" / f"{name}.py"


def _network_flags(library: Library) -> int:
    known = library.module.NetworkDefinitionCreationFlag
    names = ("STRONGLY_TYPED",) if library.strongly_typed else ("EXPLICIT_BATCH",)
    return sum(1 << int(getattr(known, name)) for name in names)


def _error_text(error: Any) -> str:
    place = " ".join(str(getattr(error, name)()) for name in ("node_operator", "node_name") if hasattr(error, name))
    message = " ".join(str(error.desc()).split())
    return f"{place}: {message}" if place.strip() else message
