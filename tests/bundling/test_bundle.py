"""Bundles: the same bytes each time, only for devices that run them, with pictures that are nobody's or one's own."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.artifacts import Artifact, artifact_sha256, read_artifact
from moceir_edge.bundling import golden_pairs
from moceir_edge.bundling.bundle import bundle
from moceir_edge.bundling.fit import fitting_runtime, needed_mib
from moceir_edge.bundling.golden_pairs import HIGHEST_DB, MARGIN_DB
from moceir_edge.bundling.manifest import BundleManifest
from moceir_edge.bundling.texts import readme
from moceir_edge.data.images import Picture, write_picture
from moceir_edge.device_profile import DeviceProfile
from moceir_edge.errors import ArtifactError
from moceir_edge.records import sha256_of_file
from moceir_edge.runner import Image, Outputs
from moceir_edge.terms import TargetName, Task
from tests.bundling.bundles import DEVICE, members_of
from tests.parity.fakes import noise

SOURCE = "https://example.org/a-test"


def profile(**fields: object) -> DeviceProfile:
    """A board of these fields."""
    runtime = {"target": "onnx", "library": "onnxruntime", "precisions": ["float32", "int8"], "source": SOURCE}
    given = {"title": "a board", "system": "Linux", "reach": "ssh", "runner": "python", "runtimes": [runtime]}
    return DeviceProfile.model_validate({**given, **fields})


@pytest.fixture(scope="module")
def artifact(made_bundle: Path) -> Artifact:
    """What was bundled."""
    return read_artifact(made_bundle.parent / "artifact")


def manifest_of(path: Path) -> BundleManifest:
    """The manifest in a bundle."""
    return BundleManifest.model_validate_json(members_of(path)["manifest.json"][1])


def test_same_input_same_bytes(made_bundle: Path, tmp_path: Path) -> None:
    """Another run, in another folder, writes the same file; nothing in it has a time or an owner."""
    bundle(made_bundle.parent / "artifact", DEVICE, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == made_bundle.read_bytes()
    with tarfile.open(made_bundle) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}
    assert {member.name.split("/")[1]: member.mode for member in members}["run.sh"] == 0o755
    with zipfile.ZipFile(BytesIO(members_of(made_bundle)["runner.pyz"][1])) as runner:
        assert {(info.create_system, info.date_time) for info in runner.infolist()} == {(3, (1980, 1, 1, 0, 0, 0))}
    with gzip.open(made_bundle) as stream:
        stream.read(1)
        assert stream.mtime == 0


def changed_artifact(made: Path, folder: Path, **fields: object) -> Path:
    """A copy of the artifact beside a bundle, whose artifact.json says something else."""
    shutil.copytree(made.parent / "artifact", folder)
    note = folder / "artifact.json"
    note.write_text(json.dumps({**json.loads(note.read_bytes()), **fields}))
    return folder


def test_a_bundle_of_all_tasks_is_ustar(made_bundle: Path, tmp_path: Path) -> None:
    """Runners of phones read nothing but plain headers of 512 bytes: names are short however many tasks there are."""
    tasks = [task.value for task in Task]
    artifact = changed_artifact(made_bundle, tmp_path / "artifact", tasks=tasks)
    long = tmp_path / f"{'a_board_of_ours_' * 10}.yaml"
    long.write_text(json.dumps(profile().model_dump(mode="json", exclude_none=True)))
    bundle(artifact, str(long), tmp_path / "all.tar.gz")
    assert manifest_of(tmp_path / "all.tar.gz").tasks == tuple(tasks)
    data = gzip.decompress((tmp_path / "all.tar.gz").read_bytes())
    place, names = 0, []
    while data[place]:
        head = data[place : place + 512]
        assert (head[156:157], head[257:263]) == (b"0", b"ustar\0")
        names.append(head[:100].rstrip(b"\0").decode())
        place += 512 + -(-int(head[124:135], 8) // 512) * 512
    (top,) = {name.split("/")[0] for name in names}
    assert top.startswith("8_tasks-a_board_of_ours_")
    assert len(names) == len(members_of(tmp_path / "all.tar.gz"))


def test_names_that_no_archive_holds_are_refused(made_bundle: Path, tmp_path: Path) -> None:
    """One name above 100 bytes would need a header that runners refuse."""
    name = f"{'a' * 101}.txt"
    files = {**json.loads((made_bundle.parent / "artifact" / "artifact.json").read_bytes())["files"]}
    files[name] = {"sha256": hashlib.sha256(b"").hexdigest(), "size_bytes": 0}
    artifact = changed_artifact(made_bundle, tmp_path / "artifact", files=files)
    (artifact / name).touch()
    with pytest.raises(ArtifactError, match="no bundle holds this file: name is too long"):
        bundle(artifact, DEVICE, tmp_path / "a.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_what_lies_beside_the_artifact_stays_there(made_bundle: Path, tmp_path: Path) -> None:
    """Files of an operating system or an editor, which every device would refuse with the whole bundle."""
    artifact = tmp_path / "artifact"
    shutil.copytree(made_bundle.parent / "artifact", artifact)
    for name in (".DS_Store", "golden/Thumbs.db"):
        (artifact / name).touch()
    bundle(artifact, DEVICE, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == made_bundle.read_bytes()


def test_a_bundle_that_no_device_would_open_gets_no_name(made_bundle: Path, tmp_path: Path) -> None:
    """The runner's own rules judge it first: here a file that Windows cannot have."""
    files = json.loads((made_bundle.parent / "artifact" / "artifact.json").read_bytes())["files"]
    files["aux.txt"] = {"sha256": hashlib.sha256(b"").hexdigest(), "size_bytes": 0}
    artifact = changed_artifact(made_bundle, tmp_path / "artifact", files=files)
    (artifact / "aux.txt").touch()
    with pytest.raises(ArtifactError, match=r"artifact: no device would open its bundle: hostile path '.*/aux\.txt'"):
        bundle(artifact, DEVICE, tmp_path / "a.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_the_manifest_names_everything(made_bundle: Path, artifact: Artifact) -> None:
    """Hash and size of every other file, what the device needs, and golden pairs with what they have to reach."""
    members, manifest = members_of(made_bundle), manifest_of(made_bundle)
    assert manifest.files.keys() == members.keys() - {"manifest.json"}
    assert all(len(members[name][1]) == entry.size_bytes for name, entry in manifest.files.items())
    folder = made_bundle.parent / "artifact"
    assert manifest.artifact_sha256 == artifact_sha256(folder)
    assert manifest.files["artifact/artifact.json"].sha256 == sha256_of_file(folder / "artifact.json")
    assert manifest.name == f"derain-{DEVICE}-{manifest.artifact_sha256[:8]}"
    assert (manifest.needs.runtime, manifest.needs.from_version) == ("onnxruntime", "1.16")
    assert manifest.needs.memory_mib == needed_mib(artifact)
    assert [golden.floor_db for golden in manifest.golden] == [HIGHEST_DB, HIGHEST_DB]


class Loud:
    """A runner that misses what it should give by an error of 39.7 dB."""

    def __init__(self, references: dict[bytes, Image]) -> None:
        self.references, self.size = references, None

    def run(self, image: Image) -> Outputs:
        return Outputs(self.references[image.tobytes()] + np.float32(0.0103))


def test_floors_are_what_this_machine_reaches(
    made_bundle: Path, artifact: Artifact, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A margin below it, rounded down to half a dB; null, with the reason, where nothing here runs the artifact."""
    pairs = golden_pairs.artifact_pairs(artifact)
    inputs = [np.load(bundle_folder / pair.input)[0].astype(np.float32) / np.float32(255) for pair in pairs]
    known = {
        image.tobytes(): np.load(bundle_folder / pair.reference)[0] for image, pair in zip(inputs, pairs, strict=True)
    }
    monkeypatch.setattr(golden_pairs, "_runner", lambda *_: (Loud(known), MARGIN_DB, "a test"))
    found, how = golden_pairs.with_floors(pairs, artifact, bundle_folder)
    assert [golden.floor_db for golden in found] == [38.5, 38.5]  # 39.7 dB, less 1, rounded down
    assert how == "a test"
    monkeypatch.undo()
    npu = artifact.model_copy(update={"target": TargetName.QNN})
    monkeypatch.setattr("moceir_edge.targets.to_qnn.missing", lambda: "Qualcomm's libraries: install them")
    found, how = golden_pairs.with_floors(pairs, npu, bundle_folder)
    assert [golden.floor_db for golden in found] == [None, None]
    assert how.startswith("no floor for accuracy: ")


def test_own_pictures_replace_the_bundled_ones(made_bundle: Path, tmp_path: Path) -> None:
    """Only when asked: by the first by name, with what MODEL makes of them, and a note for whoever passes it on."""
    for name in ("b", "a"):
        write_picture(Picture(noise(ord(name), height=100, width=140)), tmp_path / "own" / f"{name}.png")
    given = made_bundle.parent
    bundle(
        given / "artifact",
        DEVICE,
        tmp_path / "own.tar.gz",
        pictures=tmp_path / "own",
        reference=given / "model.safetensors",
    )
    manifest, members = manifest_of(tmp_path / "own.tar.gz"), members_of(tmp_path / "own.tar.gz")
    assert [golden.name for golden in manifest.golden] == ["a", "b"]
    assert all(golden.input in members and golden.reference in members for golden in manifest.golden)
    assert all((golden.floor_db or 0) >= HIGHEST_DB for golden in manifest.golden)
    assert "user's own" in manifest.notes[0]
    assert not any("user's own" in note for note in manifest_of(made_bundle).notes)
    assert manifest.artifact_sha256 == manifest_of(made_bundle).artifact_sha256


def test_own_pictures_of_one_name_are_told_apart() -> None:
    """By their folders; a suffix stands only where it is all that differs."""
    pictures = Path("own")
    paths = [pictures / name for name in ("a/x.png", "b/x.png", "b/y.jpg", "b/y.png", "z.v2.png")]
    assert golden_pairs.names_of(paths, pictures) == ["a/x", "b/x", "b/y.jpg", "b/y.png", "z.v2"]


def test_artifacts_that_take_gates_are_for_the_python_runner(artifact: Artifact) -> None:
    """No other runner gives any; it would fail on the device."""
    inputs, outputs = artifact.interface.inputs, artifact.interface.outputs
    gates = inputs[0].model_copy(update={"name": "gates", "shape": (1, 2, 3)})
    chosen = outputs[0].model_copy(update={"name": "chosen", "shape": (1, 2, 3)})
    interface = artifact.interface.model_copy(update={"inputs": (*inputs, gates), "outputs": (*outputs, chosen)})
    gated = artifact.model_copy(update={"interface": interface})
    fitting_runtime(Path("artifact"), gated, "board", profile())
    for runner in ("android", "ios", "browser"):
        with pytest.raises(ArtifactError, match=f"the {runner} runner of a board gives none.*gates_input: false"):
            fitting_runtime(Path("artifact"), gated, "board", profile(runner=runner))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"runtimes": [{"target": "tensorrt", "library": "tensorrt", "precisions": ["float16"], "source": SOURCE}]},
         "for onnx, and a board runs tensorrt; export with target: tensorrt in float16"),
        ({"runtimes": [{"target": "onnx", "library": "onnxruntime", "precisions": ["int8"], "source": SOURCE}]},
         "in float32, and onnxruntime on a board runs int8; export with target: onnx in int8"),
        ({"memory_mib": {"value": 100, "source": SOURCE}, "usable_share": {"value": 0.01, "source": SOURCE}},
         "1 MiB are for one program; export with a smaller size"),
    ],
)  # fmt: skip
def test_other_devices_are_refused(fields: dict[str, object], says: str, artifact: Artifact) -> None:
    """With what to export instead."""
    known = artifact.model_copy(update={"memory_base_mib": 80.0, "memory_mib_per_megapixel": 600.0})
    with pytest.raises(ArtifactError) as refused:
        fitting_runtime(Path("artifact"), known, "board", profile(**fields))
    assert says in str(refused.value)


def test_an_engine_of_another_machine_is_refused(artifact: Artifact) -> None:
    """A Jetson builds its own."""
    runtime = {"target": TargetName.TENSORRT, "library": "tensorrt", "precisions": ["float32"], "source": SOURCE}
    engine = artifact.model_copy(update={"target": TargetName.TENSORRT})
    with pytest.raises(ArtifactError, match="engine that was built elsewhere"):
        fitting_runtime(Path("artifact"), engine, "jetson", profile(runtimes=[runtime]))


def test_a_context_for_another_npu_is_refused(artifact: Artifact) -> None:
    """It loads on no other; what to say in the recipe is told."""
    runtime = {"target": "qnn", "library": "onnxruntime", "precisions": ["float32"], "source": SOURCE}
    npu = artifact.model_copy(update={"target": TargetName.QNN})
    phone = profile(runtimes=[runtime], chip="Snapdragon 8 Elite (SM8750)")
    with pytest.raises(ArtifactError, match=r"Gen 3 .*8 Elite .*export with qnn\.chip: snapdragon_8_elite"):
        fitting_runtime(Path("artifact"), npu, "phone", phone)


@pytest.mark.parametrize("runner", ["python", "android", "ios", "browser"])
def test_the_readme_has_ten_lines(runner: str, made_bundle: Path) -> None:
    """Clocks, check, profile, restore, each with its command."""
    board = profile(
        runner=runner,
        hold_clocks=["sudo jetson_clocks"],
        free_clocks=["sudo jetson_clocks --restore"],
        clocks_source=SOURCE,
    )
    manifest = manifest_of(made_bundle).model_copy(update={"profile": board, "runner": board.runner})
    text = readme(manifest)
    assert len(text.splitlines()) == 10
    assert "`sudo jetson_clocks`" in text
    assert "a board" in text
    assert ("./run.sh check" in text) is (runner == "python")


def test_only_python_devices_get_the_python_runner(made_bundle: Path, tmp_path: Path) -> None:
    """An app brings its own."""
    board = profile(runner="android").model_dump(mode="json", exclude_none=True)
    (tmp_path / "phone.yaml").write_text(json.dumps(board))
    bundle(made_bundle.parent / "artifact", str(tmp_path / "phone.yaml"), tmp_path / "phone.tar.gz")
    names = members_of(tmp_path / "phone.tar.gz").keys()
    assert "README.md" in names
    assert not {"run.sh", "runner.pyz"} & names
    assert manifest_of(tmp_path / "phone.tar.gz").device == "phone"
