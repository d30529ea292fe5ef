"""Reading and writing models: published Lightning checkpoints, bare state dicts and our `.safetensors`.

Nothing in a file is ever executed: safetensors holds plain tensors, and pickles are read with weights only.
Shapes decide the architecture; our metadata adds only what shapes cannot say, and a disagreement is an error.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as bytes_from_tensors
from torch import Tensor

from moceir_edge.errors import CheckpointError
from moceir_edge.network.architecture import Architecture
from moceir_edge.network.inference import LayerNotes, architecture_from_shapes
from moceir_edge.network.network import MoceIR
from moceir_edge.records import Record, canonical_json, replacing_file
from moceir_edge.terms import TASK_NAMES

PUBLISHED_PREFIX = "net."
METADATA_KEY = "moceir_edge"
_GIVE_CHECKPOINT = "give a MoCE-IR checkpoint (.ckpt, .pt, .pth or .safetensors)"


class Metadata(Record):
    """What a `.safetensors` of ours says beside its tensors; `provenance` is the history of how it was made."""

    format: int = 1
    layers: dict[str, LayerNotes]
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("provenance")
    @classmethod
    def _known_tasks(cls, provenance: dict[str, Any]) -> dict[str, Any]:
        tasks = provenance.get("tasks", [])
        if not isinstance(tasks, list) or any(task not in TASK_NAMES for task in tasks):
            raise ValueError(f"its tasks {tasks!r} are none of ours")
        return provenance


@dataclass(frozen=True)
class LoadedModel:
    """A network with its contract: RGB in [0, 1], sizes in multiples of 8.

    origin: the file it was read from. provenance: how it was made (a slim model names its tasks here).
    """

    network: MoceIR
    origin: str
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        """The shape of the network."""
        return self.network.architecture

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def sha256(self) -> str:
        """Hash of the architecture's notes and all tensors in float32, whatever file they came from."""
        digest = hashlib.sha256(canonical_json(_notes(self.architecture, as_json=True)).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + str(tuple(tensor.shape)).encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def load(path: str | Path, *, architecture: Architecture | None = None) -> LoadedModel:
    """Load a MODEL in float32 on the CPU, in evaluation mode.

    architecture: of a slim model in a file without our metadata, which shapes alone do not tell.
    Errors: CheckpointError naming the file and, where tensors are at fault, the first of them.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}", _GIVE_CHECKPOINT)
    if path.suffix == ".safetensors":
        tensors, metadata = _read_safetensors(path)
    else:
        tensors, metadata = _read_pickle(path), None
    tensors = {name: tensor.float() for name, tensor in _strip_prefix(tensors).items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if architecture is None:
        architecture = architecture_from_shapes(shapes, metadata.layers if metadata else None, path=path)
    return LoadedModel(_fill(architecture, tensors, path), str(path), metadata.provenance if metadata else {})


def save(model: LoadedModel, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a model as `.safetensors`; `dtype` is how the tensors are stored, they load as float32."""
    metadata = Metadata(layers=_notes(model.architecture), provenance=dict(model.provenance))
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in model.network.state_dict().items()}
    content = bytes_from_tensors(tensors, {METADATA_KEY: metadata.model_dump_json()})
    with replacing_file(path) as temporary:
        temporary.write_bytes(content)


def convert(model: LoadedModel, path: Path) -> None:
    """Write a model in the layout that the suffix names.

    `.safetensors` is ours; `.ckpt` is the published Lightning layout; `.pt` and `.pth` are bare state dicts with the
    published names. The published layouts have no place for slim models: CheckpointError.
    """
    if path.suffix == ".safetensors":
        save(model, path)
        return
    if path.suffix not in (".ckpt", ".pt", ".pth"):
        raise CheckpointError(f"{path}: no known layout", "end the name in .safetensors, .ckpt, .pt or .pth")
    if not model.architecture.published:
        raise CheckpointError("a slim model has no published layout", "write it as .safetensors")
    state = dict(model.network.state_dict())
    if path.suffix == ".ckpt":
        content: dict[str, Any] = {
            "epoch": 0,
            "global_step": 0,
            "pytorch-lightning_version": "2.5.0",
            "state_dict": {PUBLISHED_PREFIX + name: tensor for name, tensor in state.items()},
            "loops": None,
            "callbacks": {},
            "optimizer_states": [],
            "lr_schedulers": [],
        }
    else:
        content = state
    stream = io.BytesIO()
    torch.save(content, stream)
    with replacing_file(path) as temporary:
        temporary.write_bytes(stream.getbuffer())


def _notes(architecture: Architecture, *, as_json: bool = False) -> dict[str, Any]:
    notes = {name: LayerNotes.of(block) for name, block in architecture.routed()}
    return {name: note.model_dump() for name, note in notes.items()} if as_json else notes


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Metadata | None]:
    try:
        with safe_open(path, framework="pt") as file:
            raw = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file: {_line(error)}", _GIVE_CHECKPOINT) from error
    if raw is None:
        return tensors, None
    try:
        version = json.loads(raw).get("format")
        if version != 1:
            raise CheckpointError(f"{path}: written in format {version}, this version reads 1", "update moceir-edge")
        return tensors, Metadata.model_validate_json(raw)
    except (ValidationError, json.JSONDecodeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged: {_line(error)}", "write the file again") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles, which are read or refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            reason = _refused_name(error)
            remedy = "save its state_dict alone, as plain tensors, where you trust the file"
            raise CheckpointError(f"{path}: refused, it needs code to load ({reason})", remedy) from error
        raise CheckpointError(f"{path}: not a checkpoint, or one that needs code to load", _GIVE_CHECKPOINT) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged or not a checkpoint: {_line(error)}", _GIVE_CHECKPOINT) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: holds no state dict of tensors", _GIVE_CHECKPOINT)
    return {str(name): value for name, value in state.items()}


def _refused_name(error: pickle.UnpicklingError) -> str:
    text = str(error)
    marker = "GLOBAL "
    return text.split(marker, 1)[1].split(" ", 1)[0] if marker in text else "unsafe content"


def _line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"[:160]
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _strip_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if any(name.startswith(PUBLISHED_PREFIX) for name in tensors):
        return {name.removeprefix(PUBLISHED_PREFIX): tensor for name, tensor in tensors.items()}
    return tensors


def _fill(architecture: Architecture, tensors: dict[str, Tensor], path: Path) -> MoceIR:
    network = MoceIR(architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name, shape in expected.items():
        if name not in tensors:
            raise CheckpointError(f"{path}: tensor {name} is missing", "give the whole checkpoint")
        if tuple(tensors[name].shape) != shape:
            given = tuple(tensors[name].shape)
            raise CheckpointError(f"{path}: tensor {name} has shape {given}, expected {shape}", _GIVE_CHECKPOINT)
        if not bool(torch.isfinite(tensors[name]).all()):
            raise CheckpointError(f"{path}: tensor {name} holds NaN or infinite values", "give an undamaged file")
    extra = sorted(tensors.keys() - expected.keys())
    if extra:
        raise CheckpointError(f"{path}: unexpected tensor {extra[0]} ({len(extra)} in all)", _GIVE_CHECKPOINT)
    network.load_state_dict(tensors)
    return network.eval()
