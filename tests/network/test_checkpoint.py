"""Checkpoints of every layout are read, and everything that is none is refused by name."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from moceir_edge.errors import CheckpointError
from moceir_edge.network.architecture import SIZES
from moceir_edge.network.checkpoint import METADATA_KEY, LoadedModel, convert, load, save
from moceir_edge.network.network import MoceIR

State = dict[str, Any]


@pytest.fixture(scope="module")
def tiny(golden_tiny: MoceIR) -> LoadedModel:
    """The small golden model."""
    return LoadedModel(golden_tiny, "golden", {"source": "a test"})


@pytest.fixture
def state(tiny: LoadedModel) -> State:
    """Its tensors by name; the test may change the dictionary, not the tensors."""
    return dict(tiny.network.state_dict())


def equal(first: LoadedModel, second: LoadedModel) -> bool:
    """Same shape, same tensors."""
    return first.architecture == second.architecture and first.sha256 == second.sha256


def test_the_trained_checkpoint_is_read(shared: Path) -> None:
    """A Lightning checkpoint with keys under `net.` says nothing about its shape, and is recognized."""
    model = load(shared / "reference" / "tiny" / "last.ckpt")
    assert model.architecture == SIZES["tiny"]
    assert model.parameters == 1_283_176
    assert not model.network.training


@pytest.mark.parametrize("name", ["m.ckpt", "m.pt", "m.pth", "m.safetensors"])
def test_every_layout_comes_back(tiny: LoadedModel, tmp_path: Path, name: str) -> None:
    """Converted to a layout and read again, it is the same model with the same hash."""
    convert(tiny, tmp_path / name)
    assert equal(load(tmp_path / name), tiny)


def test_published_names_come_back(shared: Path, tmp_path: Path) -> None:
    """Published to ours and back: the same names and the same bits."""
    original = torch.load(shared / "reference" / "tiny" / "last.ckpt", weights_only=True)["state_dict"]
    save(load(shared / "reference" / "tiny" / "last.ckpt"), tmp_path / "ours.safetensors")
    convert(load(tmp_path / "ours.safetensors"), tmp_path / "back.ckpt")
    back = torch.load(tmp_path / "back.ckpt", weights_only=True)["state_dict"]
    assert back.keys() == original.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in original.items())


def test_a_prefix_may_stand_in_a_safetensors_file(tiny: LoadedModel, state: State, tmp_path: Path) -> None:
    """Published keys in a plain safetensors file without our metadata."""
    save_file({f"net.{name}": value.contiguous() for name, value in state.items()}, tmp_path / "m.safetensors")
    assert equal(load(tmp_path / "m.safetensors"), tiny)


def test_half_precision_tensors_load_as_float32(tiny: LoadedModel, tmp_path: Path) -> None:
    """A file of half the size gives a float32 network near the first."""
    save(tiny, tmp_path / "half.safetensors", dtype=torch.float16)
    save(tiny, tmp_path / "whole.safetensors")
    model = load(tmp_path / "half.safetensors")
    assert {value.dtype for value in model.network.state_dict().values()} == {torch.float32}
    sizes = [(tmp_path / name).stat().st_size for name in ("half.safetensors", "whole.safetensors")]
    assert sizes[0] < 0.55 * sizes[1]


def test_provenance_is_kept(tiny: LoadedModel, tmp_path: Path) -> None:
    """How a model was made is in its file."""
    save(tiny, tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors").provenance == {"source": "a test"}


def test_equal_models_give_equal_files(tiny: LoadedModel, tmp_path: Path) -> None:
    """Nothing in a file of ours is a time or a name of a place."""
    save(tiny, tmp_path / "a.safetensors")
    save(tiny, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def _without(name: str) -> Callable[[State], None]:
    return lambda state: state.pop(name)


def _with(name: str, value: Tensor) -> Callable[[State], None]:
    return lambda state: state.update({name: value})


EXPERT = "dec.1.2.layers.1.adapter.experts.2.0.body.q.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _without("enc.1.0.layers.0.norms.0.body.bias"),
            r"tensor enc\.1\.0\.layers\.0\.norms\.0\.body\.bias is missing",
        ),
        (
            _without("dec.0.2.layers.0.shared.temperature"),
            r"tensor dec\.0\.2\.layers\.0\.shared\.temperature is missing",
        ),
        (_without("freq_embed.mlp.0.weight"), r"tensor freq_embed\.mlp\.0\.weight is missing"),
        (_without(EXPERT), r"tensor dec\.1\.2\.layers\.1\.adapter\.experts\.2\.0\.body\.q\.weight is missing"),
        (_without("patch_embed.proj.weight"), "not a MoCE-IR checkpoint"),
        (_with("extra.weight", torch.zeros(1)), r"unexpected tensor extra\.weight \(1 in all\)"),
        (
            _with(EXPERT, torch.zeros(3, 3, 1, 1)),
            r"body\.q\.weight has shape \(3, 3, 1, 1\), expected \(16, 16, 1, 1\)",
        ),
        (_with("output.weight", torch.full((3, 16, 3, 3), torch.nan)), r"tensor output\.weight holds NaN or infinite"),
        (_with("output.weight", torch.full((3, 16, 3, 3), torch.inf)), r"tensor output\.weight holds NaN or infinite"),
        (_with("dec.0.2.layers.0.shared.temperature", torch.ones(7, 1, 1)), "does not divide into 3 parts of 7 heads"),
        (_with("patch_embed.proj.weight", torch.tensor(1.0)), r"patch_embed\.proj\.weight has shape \(\)"),
    ],
)
@pytest.mark.parametrize("name", ["m.ckpt", "m.safetensors"])
def test_the_tensor_at_fault_is_named(
    state: State, tmp_path: Path, name: str, change: Callable[[State], None], message: str
) -> None:
    """Missing, unexpected, of another shape, or not finite."""
    change(state)
    path = tmp_path / name
    if name.endswith(".ckpt"):
        torch.save({"state_dict": {f"net.{key}": value for key, value in state.items()}}, path)
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path)
    assert str(path) in caught.value.what
    assert caught.value.remedy


class _Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_never_runs(state: State, tmp_path: Path, legacy: bool) -> None:
    """A checkpoint that would run a command is refused before it does."""
    witness = tmp_path / "ran"
    content = {"state_dict": state, "callbacks": _Payload(f"touch {witness}")}
    torch.save(content, tmp_path / "evil.ckpt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="needs code to load"):
        load(tmp_path / "evil.ckpt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Payload(f"touch {witness}")))
    with pytest.raises(CheckpointError, match="needs code to load"):
        load(tmp_path / "plain.pt")
    assert not witness.exists()


@pytest.mark.parametrize("name", ["m.ckpt", "m.pt", "m.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_truncated_files_are_refused(tiny: LoadedModel, tmp_path: Path, name: str, share: float) -> None:
    """A download that stopped, whatever was left of it."""
    convert(tiny, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=rf"{name}: "):
        load(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        {"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(1000, 512)},
        {"state_dict": {"model.patch_embed.weight": torch.zeros(3)}},
    ],
)
def test_another_network_is_refused(tmp_path: Path, content: State) -> None:
    """The message says what it is not."""
    torch.save(content, tmp_path / "resnet.pt")
    with pytest.raises(CheckpointError, match="not a MoCE-IR checkpoint"):
        load(tmp_path / "resnet.pt")


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {}}, {"state_dict": {"a": 1}}, torch.zeros(3)])
def test_what_holds_no_tensors_is_refused(tmp_path: Path, content: object) -> None:
    """Plain pickles of other things."""
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="holds no state dict of tensors"):
        load(tmp_path / "m.pt")


@pytest.mark.parametrize("text", ["", "not a model", "\x80\x02}q\x00."])
def test_text_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    """Neither as a pickle nor as safetensors."""
    for name in ("m.ckpt", "m.safetensors"):
        (tmp_path / name).write_text(text)
        with pytest.raises(CheckpointError):
            load(tmp_path / name)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    """The path is in the message."""
    for path, says in ((tmp_path / "none.ckpt", r"none\.ckpt: no such file"), (tmp_path, ": is a folder")):
        with pytest.raises(CheckpointError, match=says):
            load(path)


LAYER = "dec.0.2.layers.0"


def _note(**fields: Any) -> Callable[[State], None]:
    return lambda metadata: metadata["layers"][LAYER].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda metadata: metadata["layers"].pop(LAYER), f"says nothing about layer {LAYER}"),
        (lambda metadata: metadata["layers"].update({"dec.9": metadata["layers"][LAYER]}), "names other routed layers"),
        (_note(served=[7]), f"serves impossible experts in layer {LAYER}"),
        (_note(served=[]), f"serves impossible experts in layer {LAYER}"),
        (_note(served=[0, 1]), f"serves impossible experts in layer {LAYER}"),
        (_note(experts=5), f"has another number of experts than the router of layer {LAYER}"),
        (
            _note(windows={"0": 4, "1": 8, "2": 16}, served=[0, 1, 2]),
            "unexpected tensor dec.0.2.layers.0.adapter.experts.3",
        ),
        (_note(experts=0), f"gives layer {LAYER} 0 experts, not 1 to 64"),
        (_note(experts=10**9), f"gives layer {LAYER} 1000000000 experts, not 1 to 64"),
        (_note(windows={"0": 0, "1": 8, "2": 16, "3": 32}), f"gives expert 0 of layer {LAYER} a window of 0, no even"),
        (_note(windows={"0": 4, "1": 8, "2": -4, "3": 32}), f"gives expert 2 of layer {LAYER} a window of -4, no even"),
        (_note(windows={"0": 5, "1": 8, "2": 16, "3": 32}), f"gives expert 0 of layer {LAYER} a window of 5, no even"),
        (_note(windows={"0": 4, "1": 8, "2": 16, "3": 2**40}), "a window of 1099511627776, no even number up to 1024"),
        (_note(color="red"), f"metadata is damaged: layers.{LAYER}.color: "),
        (lambda metadata: metadata.update(provenance={"tasks": 5}), "provenance: its tasks 5 are none of ours"),
        (lambda metadata: metadata.update(provenance={"tasks": ["dew"]}), r"its tasks \['dew'\] are none of ours"),
        (lambda metadata: metadata.update(format=2), "written in format 2, this version reads 1"),
        (lambda metadata: metadata.clear(), "written in format None"),
    ],
)
def test_metadata_that_disagrees_is_refused(
    tiny: LoadedModel, tmp_path: Path, change: Callable[[State], None], message: str
) -> None:
    """Shapes decide; notes that say otherwise are an error, not a choice."""
    save(tiny, tmp_path / "m.safetensors")
    rewrite(tmp_path / "m.safetensors", change)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "m.safetensors")


def test_metadata_may_not_be_text(tiny: LoadedModel, tmp_path: Path) -> None:
    """A damaged note is named as such."""
    save(tiny, tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for text in ("{", "[]", '"x"'):
        save_file(tensors, tmp_path / "m.safetensors", {METADATA_KEY: text})
        with pytest.raises(CheckpointError, match="metadata is damaged"):
            load(tmp_path / "m.safetensors")


def test_a_slim_model_has_no_published_layout(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """It would not be read back as what it is."""
    slim = load_slim(golden_tiny, tmp_path)
    with pytest.raises(CheckpointError, match="a slim model has no published layout"):
        convert(slim, tmp_path / "slim.ckpt")
    with pytest.raises(CheckpointError, match="no known layout"):
        convert(slim, tmp_path / "slim.onnx")


def load_slim(network: MoceIR, folder: Path) -> LoadedModel:
    """The network with one expert less, written by hand."""
    save(LoadedModel(network, "golden"), folder / "m.safetensors")
    rewrite(
        folder / "m.safetensors",
        _note(windows={"0": 4, "1": 8, "2": 16}, served=[0, 1, 2]),
        drop=f"{LAYER}.adapter.experts.3.",
    )
    return load(folder / "m.safetensors")


def rewrite(path: Path, change: Callable[[State], None], *, drop: str = "no tensor") -> None:
    """Change the metadata of a file, and drop tensors by prefix."""
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()[METADATA_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys() if not name.startswith(drop)}  # noqa: SIM118
    change(metadata)
    save_file(tensors, path, {METADATA_KEY: json.dumps(metadata)})
