"""A folder with everything that commands read, right and wrong; made once, and changed by no command that fails."""

from __future__ import annotations

import io
import json
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

import numpy as np
import torch
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import moceir_edge as me
from moceir_edge.data.degrade import compose
from moceir_edge.data.images import Picture, Pixels, read_picture, write_picture
from moceir_edge.demonstration import MODEL
from moceir_edge.network.checkpoint import METADATA_KEY
from moceir_edge.recipe.read import read_recipe
from moceir_edge.reporting.facts import ModelFacts
from moceir_edge.resources import resource
from moceir_edge.routing.routing import Routing
from moceir_edge.runner import centre
from moceir_edge.terms import Task
from tests.golden import drawn_pictures, golden_network
from tests.profiling.results import result

RECIPE = "target: onnx\nprecision: float32\ngolden: 1\n"
TRAINING = """size: tiny
data: [{folder: ., layout: sets, tasks: [derain]}]
patch: 32
batch: 1
schedule: {steps: 2, warmup: 0, cosine: 2}
workers: 0
"""
FIXED = (64, 72)
"""Height and width that the artifact serves."""

Files = dict[str, bytes]


def make_world(folder: Path) -> None:
    """Fill an empty folder."""
    copyfile(MODEL, folder / "model.safetensors")
    _pictures(folder)
    facts = ModelFacts(
        origin="model.safetensors", name="tiny", sha256="0" * 64, parameters=1, expert_parameters=0, layers=()
    )
    facts.write(folder / "run" / "model.json")
    (folder / "wrong" / "run").mkdir(parents=True)
    (folder / "wrong" / "run" / "model.json").write_text('{"origin": "model')
    (folder / "recipe.yaml").write_text(f"{RECIPE}size: [{FIXED[0]}, {FIXED[1]}]\n")
    (folder / "train.yaml").write_text(TRAINING)
    (folder / "distil.yaml").write_text(TRAINING.removeprefix("size: tiny\n"))
    (folder / "text.txt").write_text("nothing of ours\n")
    (folder / "empty").mkdir()
    (folder / "benched").mkdir()
    (folder / "benched" / "bench.json").write_text("{}")
    (folder / "taken").mkdir()
    for name in ("model.safetensors", "0.png", "derain.tar.gz"):
        (folder / "taken" / name).write_text("somebody's\n")
    _made(folder)
    _keys(folder)
    _wrong_profiles(folder / "wrong")
    _wrong_models(folder / "wrong")
    _wrong_data(folder / "wrong", folder / "data" / "derain")
    _wrong_recipes(folder / "wrong")
    _wrong_artifacts(folder / "wrong", folder / "artifact")
    _results(folder)
    routing = Routing.read(folder / "routing.json")
    routing.model_copy(update={"model_sha256": "0" * 64}).write(folder / "wrong" / "routing.json")


def drawn(count: int, *, start: int = 0, height: int = FIXED[0], width: int = FIXED[1]) -> list[Pixels]:
    """Pictures that differ from each other and from those of another start."""
    return list(drawn_pictures(start + count, height=height, width=width).numpy()[start:])


def write_set(folder: Path, inputs: list[Pixels], *, targets: bool = True) -> None:
    """A set of {input,target}; the target is a little brighter than its input."""
    for number, pixels in enumerate(inputs):
        write_picture(Picture(pixels), folder / "input" / f"{number}.png")
        if targets:
            write_picture(Picture(pixels * 0.9 + 0.1), folder / "target" / f"{number}.png")


def write_rain(folder: Path, names: tuple[str, ...]) -> None:
    """Centres of bundled pictures under heavy rain, which the tiny model takes out by 4 to 7 dB."""
    for number, name in enumerate(names):
        clean = centre(read_picture(resource("calibration") / "pictures" / f"{name}.png").pixels, FIXED)
        rain = compose(clean, {Task.DERAIN: "heavy"}, seed=number)
        for part, pixels in (("input", rain), ("target", clean)):
            write_picture(Picture(pixels), folder / part / f"{number}.png")


def _pictures(folder: Path) -> None:
    write_rain(folder / "data" / "derain", ("astronaut", "coffee", "rocket"))
    write_rain(folder / "calibration" / "derain", ("camera", "chelsea"))
    write_set(folder / "hazy" / "dehaze", drawn(2))
    copytree(folder / "data" / "derain" / "input", folder / "photos")


def _made(folder: Path) -> None:
    """What commands make of each other's results."""
    model, data = folder / "model.safetensors", folder / "data"
    me.observe(model, data, folder / "routing.json", relevance=False)
    slim = folder / "slim.safetensors"
    me.slim(model, folder / "routing.json", slim, tasks=[Task.DERAIN], max_experts=1)
    me.export(slim, read_recipe(folder / "recipe.yaml"), data, folder / "artifact")
    me.save(me.LoadedModel(golden_network("tiny"), "other"), folder / "other.safetensors")


def _keys(folder: Path) -> None:
    """What signs, and what does not."""
    private, coding, clear = (
        ed25519.Ed25519PrivateKey.generate(),
        serialization.Encoding.PEM,
        serialization.NoEncryption(),
    )
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(private.private_bytes(coding, form, clear))
    locked = serialization.BestAvailableEncryption(b"word")
    (folder / "wrong" / "encrypted.pem").write_bytes(private.private_bytes(coding, form, locked))
    public = private.public_key().public_bytes(coding, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "wrong" / "public.pem").write_bytes(public)
    stranger = ed25519.Ed25519PrivateKey.generate().public_key()
    public = stranger.public_bytes(coding, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "wrong" / "another.pem").write_bytes(public)
    other = ec.generate_private_key(ec.SECP256R1())
    (folder / "wrong" / "ec.pem").write_bytes(other.private_bytes(coding, form, clear))


def _wrong_profiles(folder: Path) -> None:
    """Boards that do not run the artifact."""
    board = "title: a board\nsystem: Linux\nreach: ssh\nrunner: python\n"
    runtime = "runtimes: [{{target: {}, library: {}, precisions: [{}], source: https://example.org/a-test}}]\n"
    (folder / "jetson.yaml").write_text(board + runtime.format("tensorrt", "tensorrt", "float16"))
    (folder / "int8.yaml").write_text(board + runtime.format("onnx", "onnxruntime", "int8"))
    memory = "memory_mib: {value: 2, source: https://example.org/a-test}\n"
    (folder / "small.yaml").write_text(board + memory + runtime.format("onnx", "onnxruntime", "float32"))


class Code:
    """A pickle of this leaves a file wherever it is loaded without care."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.marker,)


def _wrong_models(folder: Path) -> None:
    whole = (folder.parent / "model.safetensors").read_bytes()
    (folder / "fake.png").write_text("a text file\n")
    (folder / "fake.ckpt").write_text("a text file\n")
    (folder / "text.mp4").write_text("a text file\n")
    for name in ("empty.png", "empty.mp4"):
        (folder / name).write_bytes(b"")
    for width, height in ((0, 8), (20000, 10000)):
        (folder / f"{width}x{height}.png").write_bytes(_png_that_says(width, height))
    (folder / "truncated.safetensors").write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {"net.a": Code(folder / "ran")}}, folder / "code.ckpt")
    (folder / "pickle.ckpt").write_bytes(pickle.dumps(Code(folder / "ran")))
    torch.save({"state_dict": torch.nn.Linear(2, 2).state_dict()}, folder / "foreign.ckpt")
    save_file({"weight": torch.zeros(2, 2)}, folder / "foreign.safetensors")
    with safe_open(folder.parent / "slim.safetensors", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        notes = json.loads(file.metadata()[METADATA_KEY])
    first = next(iter(tensors))
    save_file({**tensors, first: tensors[first] * torch.nan}, folder / "nan.safetensors", _metadata(notes))
    layer = next(name for name, note in notes["layers"].items() if note["windows"])
    for window in (0, -4, 5, 2**40):
        (expert,) = notes["layers"][layer]["windows"]
        notes["layers"][layer]["windows"] = {expert: window}
        save_file(tensors, folder / f"window{window}.safetensors", _metadata(notes))


def _png_that_says(width: int, height: int) -> bytes:
    """A small PNG whose header says another size."""
    header = io.BytesIO()
    Image.new("1", (8, 8)).save(header, "PNG")
    data = bytearray(header.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def _metadata(notes: dict[str, Any]) -> dict[str, str]:
    return {METADATA_KEY: json.dumps(notes)}


def _wrong_data(folder: Path, good: Path) -> None:
    def copied(name: str, change: Callable[[Path], object], part: str = "input") -> None:
        copytree(good, folder / name / "derain")
        for path in (folder / name / "derain" / part).iterdir():
            change(path)

    copied("text", lambda path: path.write_text(f"the text {path.name}\n"))
    copied("truncated", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]))
    copied("sizes", lambda path: write_picture(Picture(drawn(1, start=int(path.stem), height=56)[0]), path), "target")
    copied("untargeted", Path.unlink, "target")
    copytree(good, folder / "untold" / "holiday")
    copyfile(folder / "truncated" / "derain" / "input" / "1.png", folder / "truncated.png")
    write_set(folder / "single" / "derain", drawn(1))
    lines = (
        "about: a test",
        "sources: [{set: derain, folder: pictures, count: 1}]",
        "pictures:",
        "  a.png: " + "f" * 64,
    )
    (folder / "altered.yaml").write_text("\n".join(lines) + "\n")
    write_picture(Picture(drawn(1)[0]), folder / "a.png")


RECIPES = {
    "empty": "",
    "broken": "target: [onnx\n",
    "unknown": "target: onnx\nprecision: float32\nspeed: 9\nquantize: {bits: 4}\n",
    "doubled": "target: onnx\nprecision: float32\ntarget: coreml\nsize: dynamic\nprecision: int8\n",
    "contradictory": "target: coreml\nprecision: bfloat16\nonnx: {providers: [cpu]}\noverflow_size: [64, 64]\n",
    "everything": "target: onnx\nspeed: 9\ntarget: onnx\nprecision: float32\nquantize: {crop: 9}\n"
    "limits:\n  parity_db: {value: 20}\n",
    "size": "target: onnx\nprecision: float32\nsize: [60, 64]\n",
    "limit": "target: onnx\nprecision: float32\nlimits:\n  parity_db:\n    value: 20\n",
}


def _wrong_recipes(folder: Path) -> None:
    for name, text in RECIPES.items():
        (folder / f"{name}.recipe.yaml").write_text(text)


def _wrong_artifacts(folder: Path, good: Path) -> None:
    def copied(name: str) -> Path:
        copytree(good, folder / name)
        return folder / name

    def changed(name: str, **fields: Any) -> None:
        path = copied(name) / "artifact.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))

    model = copied("altered") / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    (copied("incomplete") / "golden" / "0.input.npy").unlink()
    changed("newer", schema_version=2)
    changed("unmodelled", model="other.onnx")
    changed("wordy", opinion="good")
    changed("cooked", recipe={"target": "onnx"})
    changed("misled", tasks=["sunshine"])
    for name, text in {"cut": '{"schema_version": 1, "target"', "listed": "[1]", "unversioned": "{}"}.items():
        (copied(name) / "artifact.json").write_text(text)


def _results(folder: Path) -> None:
    """What runners wrote, of one device, and what cannot be compared with it."""
    result([10.0] * 40).write(folder / "results" / "1.json")
    result([10.1] * 40).write(folder / "results" / "2.json")
    wrong = folder / "wrong" / "results"
    result().write(wrong / "mixed" / "1.json")
    result(artifact="c").write(wrong / "mixed" / "2.json")
    result(size=(32, 64)).write(wrong / "size.json")
    result(model="another board").write(wrong / "device.json")
    result(threads=2).write(wrong / "threads.json")
    result([10.0] * 5).write(wrong / "few.json")
    (wrong / "newer.json").write_text(result().model_copy(update={"schema_version": 2}).model_dump_json())
    (wrong / "cut.json").write_text(result().model_dump_json()[:200])
    (wrong / "wordy.json").write_text(json.dumps({**result().model_dump(mode="json"), "opinion": "fast"}))


def snapshot(folder: Path) -> dict[str, tuple[int, int] | None]:
    """Every path below a folder; of files, size and time of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        found[str(path.relative_to(folder))] = None if path.is_dir() else (facts.st_size, facts.st_mtime_ns)
    return found


def smooth(height: int, width: int) -> Pixels:
    """(3, H, W): waves without noise."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + 0.4 * np.sin(rows / (9 + i)) * np.cos(columns / (13 - i)) for i in range(3)]
    return np.stack(waves).astype(np.float32)
