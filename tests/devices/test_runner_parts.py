"""What the runner decides before a runtime comes into it, and what it reads of runtimes that are not here."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.bundling.manifest import MANIFEST_VERSION
from moceir_edge.device_profile import read_device_profile
from moceir_edge.memory import SAFE_SHARE
from moceir_edge.resources import resource_names
from tests.bundling.bundles import run
from tests.devices.scripts import runner_script, script

fitness, bundle, manifests, problem = (runner_script(name) for name in ("fitness", "bundle", "manifest", "problem"))

BOARDS = {
    "NVIDIA Jetson Xavier NX Developer Kit": "jetson_xavier_nx",
    "Jetson-AGX": "jetson_agx_xavier",
    "NVIDIA Jetson Orin Nano Developer Kit": "jetson_orin_nano",
    "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super": "jetson_orin_nano",
    "NVIDIA Jetson Orin NX Engineering Reference Developer Kit": "jetson_orin_nx",
    "NVIDIA Jetson AGX Orin Developer Kit": "jetson_agx_orin",
    "NVIDIA Jetson AGX Thor Developer Kit": "jetson_thor",
    "Raspberry Pi 5 Model B Rev 1.0": "raspberry_pi_5",
    "Raspberry Pi Compute Module 5 Rev 1.0": "raspberry_pi_5",
}
"""What device trees say, and the profile for it."""

LIKE = {("Jetson-AGX", "jetson_agx_orin")}
"""A board whose name does not tell it from another's profile."""


def manifest_for(name: str) -> dict[str, Any]:
    """The parts of a manifest that tell the device."""
    profile = read_device_profile(name)
    return {"device": name, "profile": profile.model_dump(mode="json"), "runner": str(profile.runner)}


@pytest.mark.parametrize("board", BOARDS)
def test_boards_take_their_own_bundles(board: str) -> None:
    """And refuse those of other boards with this runner, where their name tells."""
    here = {"system": "Linux", "processor": "arm", "board": board}
    fitness.require_device(manifest_for(BOARDS[board]), here)
    for other in {*BOARDS.values(), "x86_laptop"} - {BOARDS[board]}:
        if (board, other) not in LIKE:
            with pytest.raises(problem.Problem, match=r"this bundle is for .*--any-device"):
                fitness.require_device(manifest_for(other), here)


def test_what_cannot_be_told_is_let_through() -> None:
    """An emulation of Arm has no board, and a board of a kind that nobody knows no name."""
    for board in (None, "Radxa ROCK 5B"):
        here = {"system": "Linux", "processor": "arm", "board": board}
        fitness.require_device(manifest_for("raspberry_pi_5"), here)


@pytest.mark.parametrize("name", resource_names("devices"))
def test_every_profile_is_of_this_runner_or_names_another(name: str) -> None:
    """No profile of a phone or a page is taken by the Python runner."""
    manifest = manifest_for(name)
    here = {"system": "Linux", "processor": "x86" if name == "x86_laptop" else "arm", "board": None}
    if manifest["runner"] == "python":
        fitness.require_device(manifest, here)
    else:
        with pytest.raises(problem.Problem, match=f"its {manifest['runner']} runner; use that"):
            fitness.require_device(manifest, here)


def test_versions_are_numbers() -> None:
    """10 is newer than 9, and what is built in is not part of it."""
    texts = ["1.9", "1.10.0", "1.22.1+cpu", "8.5.2.2", "10.3"]
    assert [fitness.numbers(text) for text in texts] == [(1, 9, 0), (1, 10, 0), (1, 22, 1), (8, 5, 2), (10, 3, 0)]


def test_a_full_disk_is_said_before_unpacking(tmp_path: Path) -> None:
    """In a folder that does not exist yet."""
    with pytest.raises(problem.Problem, match=r"MiB are free, and 1048577\.0 are needed; free some space"):
        fitness.require_space(tmp_path / "a" / "b", 2**40)
    fitness.require_space(tmp_path / "a" / "b", 2**10)


def test_the_runner_reads_what_the_package_writes() -> None:
    """The same schema, the same share of memory."""
    assert manifests.SCHEMA == MANIFEST_VERSION
    assert runner_script("memory").SAFE_SHARE == SAFE_SHARE


PATHS = {
    "a/b.py": True,
    "a": True,
    "console/auxiliary.py": True,
    "com.1": True,
    "model.mlpackage/Data/com.apple.CoreML/model.mlmodel": True,
}
HOSTILE = (
    "",
    "/a",
    "a//b",
    "a/",
    "../a",
    "a/../b",
    "./a",
    "a/.b",
    "a\\b",
    "C:a",
    "a\0b",
    "a\nb",
    "a.",
    "a ",
    "ä",
    "~a",
    "NUL",
    "a/con",
    "aux.txt",
    "COM1.tar.gz",
    "lpt9 .txt/a",
)


@pytest.mark.parametrize("name", [*PATHS, *HOSTILE])
def test_paths_stay_below_their_folder(name: str) -> None:
    """On every system."""
    assert manifests.safe(name) is PATHS.get(name, False)


def test_the_engine_is_what_build_py_says() -> None:
    """The line of JSON it prints: an engine that was built, or kept; a refusal with its reason and exit code."""
    engines = runner_script("tensorrt_backend")
    built = {"status": "built", "engine": "/a/b.engine", "seconds": 71.5}
    assert engines.parsed_build(f"a warning\n{json.dumps(built)}\n", 0) == ("/a/b.engine", 71500.0)
    assert engines.parsed_build(json.dumps({"status": "reused", "engine": "c"}), 0) == ("c", None)
    for code in (2, 3):
        with pytest.raises(problem.Problem, match="no engine: the parser refused") as refused:
            engines.parsed_build(json.dumps({"status": "failed", "reason": "the parser refused"}), code)
        assert refused.value.code == code
    with pytest.raises(problem.Problem, match="ended with -9 and no result"):
        engines.parsed_build("", -9)


def test_build_py_of_an_artifact_is_called_as_it_wants(tmp_path: Path) -> None:
    """The real script, up to what it needs of the device: it refuses this folder in its own words."""
    engines = runner_script("tensorrt_backend")
    (tmp_path / "bundle" / "artifact").mkdir(parents=True)
    with pytest.raises(problem.Problem, match=r"brings no build\.py"):
        engines.engine_of(tmp_path / "bundle")
    scripts = Path(script("build").__file__ or "").parent
    for path in scripts.glob("build*.py"):
        (tmp_path / "bundle" / "artifact" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(problem.Problem, match=r"no engine: .*no usable build\.json"):
        engines.engine_of(tmp_path / "bundle")
    assert not list(tmp_path.rglob("__pycache__"))


class HostMemory:
    """CUDA's functions on memory of this machine, as far as copies need them: the pointers are real."""

    def __init__(self) -> None:
        self.blocks: dict[int, Any] = {}

    def cudaStreamCreate(self, stream: Any) -> int:  # noqa: N802
        stream._obj.value = 7
        return 0

    def cudaMalloc(self, pointer: Any, size: ctypes.c_size_t) -> int:  # noqa: N802
        if size.value > 2**30:
            return 2
        block = ctypes.create_string_buffer(size.value)
        self.blocks[ctypes.addressof(block)] = block
        pointer._obj.value = ctypes.addressof(block)
        return 0

    def cudaFree(self, pointer: ctypes.c_void_p) -> int:  # noqa: N802
        del self.blocks[pointer.value or 0]
        return 0

    def cudaMemcpyAsync(self, to: Any, source: Any, size: Any, kind: Any, stream: Any) -> int:  # noqa: N802
        assert (kind.value in (1, 2), stream.value) == (True, 7)
        ctypes.memmove(to, source, size.value)
        return 0

    def cudaStreamSynchronize(self, stream: Any) -> int:  # noqa: N802
        return 0 if stream.value == 7 else 400

    def cudaRuntimeGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = 12060
        return 0


def test_copies_go_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through memory that grows with the picture; no memory is a MemoryError, so that tiles are halved."""
    engines = runner_script("tensorrt_backend")
    library = HostMemory()
    monkeypatch.setattr(engines, "load_cuda", lambda: library)
    cuda = engines.Cuda()
    for side in (4, 8, 2):
        given, found = np.random.default_rng(side).random((3, side, side)).astype(np.float32), np.zeros(3 * side * side)
        found = np.zeros((3, side, side), np.float32)
        cuda.copy(cuda.room("image", given.nbytes), given.ctypes.data, given.nbytes, engines.TO_DEVICE)
        cuda.copy(found.ctypes.data, cuda.room("image", given.nbytes), given.nbytes, engines.TO_HOST)
        cuda.wait()
        assert np.array_equal(found, given)
        assert len(library.blocks) == 1
    assert cuda.version() == "12.6"
    with pytest.raises(MemoryError):
        cuda.room("image", 2**31)


def test_without_cuda_the_error_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of its names loads."""
    engines = runner_script("tensorrt_backend")
    monkeypatch.setattr(engines, "CUDA_RUNTIMES", ("libnowhere.so",))
    with pytest.raises(problem.Problem, match=r"libnowhere\.so\); it comes with JetPack"):
        engines.load_cuda()


class Scarce:
    """A back end without memory for pictures above a side."""

    size, steers = None, False

    def __init__(self, side: int) -> None:
        self.side, self.seen = side, set[tuple[int, ...]]()

    def run(self, image: Any) -> dict[str, Any]:
        self.seen.add(image.shape[1:])
        if max(image.shape[1:]) > self.side:
            raise MemoryError("no memory for that")
        return {"restored": image}


def test_tiles_are_halved_where_memory_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """Until they fit; those that were asked for are not, and what fits nowhere says what to do."""
    restore = runner_script("restore")
    image = np.random.default_rng(0).random((3, 300, 400), np.float32)
    restored, agreement, tile, scores = restore.restored_in_memory(Scarce(160), image, "a.png", tile=None, fixed=False)
    np.testing.assert_allclose(restored, image, atol=1e-6)
    assert (agreement, tile, scores) == (None, (128, 128), [])
    said = capsys.readouterr().err.splitlines()
    assert said == [f"a.png: no memory; again in tiles of {tile}" for tile in ("200x144", "128x128")]
    for scarce, tile, fixed in ((Scarce(120), (200, 200), True), (Scarce(16), None, False)):
        with pytest.raises(problem.Problem, match=r"a\.png: no memory \(no memory for that\); end other programs"):
            restore.restored_in_memory(scarce, image, "a.png", tile=tile, fixed=fixed)


class Steering:
    """A back end that takes gates, and adds those of its one layer to the picture; without any, the picture's mean."""

    size, steers = None, True

    def run(self, image: Any, gates: Any = None) -> dict[str, Any]:
        chosen = np.full((1, 1), image.mean(), np.float32) if gates is None else gates
        return {"restored": image + chosen[0, 0], "chosen": chosen, "scores": chosen}


def test_the_route_of_a_picture_in_tiles_is_decided_once() -> None:
    """On the picture made small: every tile gets the same gates, so that no seam shows."""
    restore = runner_script("restore")
    image = np.random.default_rng(0).random((3, 200, 256), np.float32)
    image[:, :, 128:] /= 4
    restored, _, _, scores = restore.restored_in_memory(Steering(), image, "a.png", tile=(128, 128), fixed=True)
    np.testing.assert_allclose(restored, image + image.mean(), atol=1e-4)
    assert len(scores) > 1
    assert len({float(score[0, 0]) for score in scores}) == 1
    whole, _, _, (score,) = restore.restored_in_memory(Steering(), image, "a.png", tile=None, fixed=False)
    np.testing.assert_allclose(whole, image + score[0, 0], atol=1e-6)


def test_memory_that_was_measured_chooses_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest that fits; the artifact's largest size; a picture's own size where nobody knows."""
    restore = runner_script("restore")
    measured = {"memory_base_mib": 80.0, "memory_mib_per_megapixel": 600.0}
    monkeypatch.setattr(restore, "safe_mib", lambda: 500.0)
    assert restore.tile_of(measured, None, (3, 500, 601)) == (504, 608)  # the whole
    height, width = restore.tile_of(measured, None, (3, 2000, 3000))
    assert 0.5 < (80 + 600 * height * width / 1e6) / 500 <= 1
    assert min(height, width) >= 384
    served = restore.tile_of({**measured, "largest": [512, 640]}, None, (3, 2000, 3000))
    assert served[0] <= 512
    assert served[1] <= 640
    assert restore.tile_of({"largest": [512, 640]}, None, (3, 2000, 3000)) == (512, 640)
    assert restore.tile_of(measured, (64, 64), (3, 2000, 3000)) == (64, 64)
    assert restore.tile_of({}, None, (3, 500, 600)) is None
    assert restore.tile_of({}, None, (3, 2000, 3000)) == (768, 768)
    monkeypatch.setattr(restore, "safe_mib", lambda: 10.0)
    with pytest.raises(problem.Problem, match="the smallest tiles take 90 MiB, and 10 are free to take"):
        restore.tile_of(measured, None, (3, 500, 600))


def test_operators_are_those_of_one_run(bundle_folder: Path, tmp_path: Path) -> None:
    """Kinds with their share of the time, slowest first, from the runtime's own trace in the caller's folder."""
    pytest.importorskip("onnxruntime", reason="not here: onnxruntime is not installed")
    backend, _ = runner_script("backend"), runner_script("onnx_backend")  # which imports it when it is needed
    opened = backend.open_backend(bundle_folder, bundle.read_manifest(bundle_folder), threads=1, traces=tmp_path)
    image = np.random.default_rng(0).random((3, 32, 40), np.float32)
    for _ in range(3):
        outputs = opened.run(image)
    assert outputs["restored"].shape == (3, 32, 40)
    assert np.ravel(outputs["agreement"]).shape == (1,)
    rows = opened.operators()
    assert next(row for row in rows if row["kind"] == "Conv")["count"] >= 10
    assert [row["time_ms"] for row in rows] == sorted((row["time_ms"] for row in rows), reverse=True)
    assert all(row["time_ms"] >= 0 and row["count"] >= 1 for row in rows)
    assert [path.name.startswith("operators") for path in tmp_path.iterdir()] == [True]
    assert (opened.build_ms, opened.size) == (None, None)
    assert opened.runtime["threads"] == 1
    assert opened.versions["onnxruntime"] == opened.runtime["version"]


def test_an_openvino_artifact_runs_in_openvino(tmp_path: Path) -> None:
    """The same pictures, by the runtime of the artifact's target."""
    pytest.importorskip("openvino", reason="not here: openvino is not installed")
    from moceir_edge.bundling.bundle import bundle as pack
    from tests.bundling.bundles import small_artifact, unpacked

    artifact = small_artifact(tmp_path, target="openvino")
    pack(artifact, "x86_laptop", tmp_path / "small.tar.gz")
    folder = unpacked(tmp_path / "small.tar.gz", tmp_path)
    ended = run(folder, "check", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    assert "openvino 20" in ended.stdout


VECTORS = json.loads((Path(__file__).parents[1] / "guard_vectors.json").read_bytes())


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["case"])
def test_the_guard_gives_the_same_verdicts(case: dict[str, Any]) -> None:
    """On the cases that all runners share; a foreign picture is told with its distance, any other not at all."""
    guard, rule = runner_script("guard"), VECTORS["rule"]
    tiles = [np.array(scores, np.float32) for scores in case["tiles"]]  # null is NaN
    distance = guard.routing_distance(rule, tiles)
    expected = float("nan") if case["distance"] is None else case["distance"]
    assert distance == pytest.approx(expected, abs=1e-5, nan_ok=True)
    assert guard.is_foreign(rule, distance) is case["foreign"]
    said = guard.warning(rule, tiles, ["derain", "dehaze"])
    assert (said is not None) is case["foreign"]
    if said is not None:
        assert said.startswith("looks like none of derain, dehaze, which this model is for: routing distance ")
    assert guard.warning(None, tiles, ["derain"]) is guard.warning(rule, [], ["derain"]) is None


def test_a_reference_of_no_numbers_passes_nothing(tmp_path: Path) -> None:
    """A golden pair with NaN in what the full model made says nothing of the device: it is told, and missed."""
    golden = runner_script("golden")
    pair = {"name": "a", "task": "derain", "input": "a.npy", "reference": "b.npy", "floor_db": 60.0}
    np.save(tmp_path / "a.npy", np.full((1, 3, 8, 8), 255, np.uint8))
    for value, finite in ((1.0, True), (np.nan, False), (np.inf, False)):
        reference = np.ones((1, 3, 8, 8), np.float32)
        reference[0, 0, 0, 0] = value
        np.save(tmp_path / "b.npy", reference)
        row = golden.golden_row(tmp_path, pair, Scarce(8))
        assert (row["finite"], row["psnr_db"]) == (finite, None)
        assert bool(list(golden.missed({"golden": [pair]}, [row]))) is not finite
    np.save(tmp_path / "b.npy", np.ones((1, 3, 8, 16), np.float32))
    with pytest.raises(problem.Problem, match=r"picture of \(3, 8, 8\), and reference of \(3, 8, 16\)"):
        golden.golden_row(tmp_path, pair, Scarce(8))


def test_only_a_full_disk_is_told_to_free_some_space() -> None:
    """Other refusals need something else."""
    full, forbidden = (OSError(number, "a reason") for number in (28, 13))
    assert (
        str(problem.refusal("a", full)) == "a: cannot be written: a reason; free some space, or choose another folder"
    )
    assert str(problem.refusal("a", forbidden)) == "a: cannot be written: a reason; choose another folder"
