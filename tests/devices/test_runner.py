"""The runner of a bundle, started as on a device: check, restore, unpack, and everything that it refuses."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.bundling.bundle import bundle
from moceir_edge.data.images import Picture, read_picture, write_picture
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import load
from moceir_edge.resources import resource
from moceir_edge.runner import NetworkRunner, run_padded
from tests.bundling.bundles import (
    DEVICE,
    altered,
    assert_refused,
    ended_after,
    rewritten,
    run,
    run_with,
    small_artifact,
    unpacked,
)
from tests.parity.fakes import noise

SOURCES = sorted((resource("devices") / "runner").glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_is_python_3_8(path: Path) -> None:
    """The oldest Python that a supported device comes with (JetPack 5)."""
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def pythons(oldest: tuple[int, int], below: tuple[int, int]) -> Iterator[Path]:
    """Other Pythons on this machine, from a version on and below another."""
    places = [Path(shutil.which(f"python{oldest[0]}.{minor}") or "") for minor in range(oldest[1], below[1])]
    root = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    places += [path / "bin" / "python" for path in sorted(root.glob("*")) if path.is_dir()]
    for path in places:
        found = path.parent.parent.name.split(".")[:2] if path.parent.parent.parent == root else []
        if path.is_file() and found and oldest <= tuple(map(int, found)) < below:
            yield path


def test_an_older_python_says_so(bundle_copy: Path) -> None:
    """One line, and what to set."""
    old = next(pythons((3, 5), (3, 8)), None)
    if old is None:
        pytest.skip("not here: no Python below 3.8")
    assert_refused(run_with(old, bundle_copy, "check"), "the runner needs 3.8 or later; set MOCEIR_EDGE_PYTHON")


def test_python_3_8_unpacks_and_refuses(made_bundle: Path, tmp_path: Path) -> None:
    """What needs no library runs on the oldest Python; what does says what is missing."""
    old = next(pythons((3, 8), (3, 9)), None)
    if old is None:
        pytest.skip("not here: no Python 3.8")
    source = resource("devices") / "runner"
    shutil.copytree(source, tmp_path / "runner.pyz")  # a folder of that name runs like the file
    ended = run_with(old, tmp_path, "unpack", made_bundle, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    folder = Path(ended.stdout.strip())
    assert (folder / "manifest.json").is_file()
    assert_refused(
        run_with(old, folder, "check"), "onnxruntime does not load (No module named 'onnxruntime'); python3 -m"
    )


def test_check_tells_what_the_device_makes_of_golden_pictures(bundle_folder: Path) -> None:
    """A line for the bundle, one for the runtime, one for each picture."""
    ended = run(bundle_folder, "check", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    whole, runtime, *pictures = ended.stdout.splitlines()
    golden = json.loads((bundle_folder / "manifest.json").read_bytes())["golden"]
    assert whole.startswith(f"{bundle_folder.name}: ")
    assert whole.endswith("unaltered; not signed")
    assert "CPUExecutionProvider: loaded in" in runtime
    assert [line.split(": ")[0] for line in pictures] == [each["name"] for each in golden]
    assert all("dB to the full model (at least 60.0), agreement " in line for line in pictures)
    assert ended.stderr == ""


def test_check_works_from_anywhere_and_leaves_nothing(bundle_folder: Path, tmp_path: Path) -> None:
    """Through a link to run.sh or to its folder, in another working directory."""
    before = sorted(path for path in bundle_folder.rglob("*"))
    (tmp_path / "link").symlink_to(bundle_folder)
    assert run(tmp_path / "link", "check", "--threads", "1").returncode == 0
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run.sh").symlink_to(tmp_path / "link" / "run.sh")
    ended = run(tmp_path / "bin", "check", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    assert sorted(path for path in bundle_folder.rglob("*")) == before


def test_golden_pictures_that_come_out_otherwise_are_exit_3(bundle_copy: Path) -> None:
    """A line for each; whoever ships it should know."""
    name = json.loads((bundle_copy / "manifest.json").read_bytes())["golden"][0]["reference"]
    altered(bundle_copy, name, npy(np.load(bundle_copy / name) + np.float32(0.01), bundle_copy))
    ended = run(bundle_copy, "check", "--threads", "1")
    assert_refused(ended, "40.00 dB to the full model, and at least 60.0 were expected", code=3)
    assert len(ended.stdout.splitlines()) == 4


def npy(array: np.ndarray, folder: Path) -> bytes:
    """The bytes of an array's file."""
    np.save(folder.parent / "array.npy", array)
    return (folder.parent / "array.npy").read_bytes()


def cut(folder: Path) -> None:
    """The model ends early."""
    model = folder / "artifact" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-100])


def bent(folder: Path) -> None:
    """The model has another last byte."""
    model = folder / "artifact" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")


def linked(folder: Path) -> None:
    """The model lies elsewhere."""
    model = folder / "artifact" / "model.onnx"
    model.rename(folder.parent / "model.onnx")
    model.symlink_to(folder.parent / "model.onnx")


def linked_above(folder: Path) -> None:
    """The whole artifact lies elsewhere."""
    (folder / "artifact").rename(folder.parent / "artifact")
    (folder / "artifact").symlink_to(folder.parent / "artifact")


def needing(**needs: object) -> Callable[[Path], None]:
    """Other needs."""

    def change(folder: Path) -> None:
        old = json.loads((folder / "manifest.json").read_bytes())["needs"]
        rewritten(folder, needs={**old, **needs})

    return change


def of_system(system: str) -> Callable[[Path], None]:
    """A profile of another system."""

    def change(folder: Path) -> None:
        old = json.loads((folder / "manifest.json").read_bytes())["profile"]
        rewritten(folder, profile={**old, "title": "another", "system": system})

    return change


def of_profile(**fields: object) -> Callable[[Path], None]:
    """A profile that says something else."""

    def change(folder: Path) -> None:
        old = json.loads((folder / "manifest.json").read_bytes())["profile"]
        rewritten(folder, profile={**old, **fields})

    return change


def with_floor(floor_db: object) -> Callable[[Path], None]:
    """Golden pictures with another floor."""

    def change(folder: Path) -> None:
        old = json.loads((folder / "manifest.json").read_bytes())["golden"]
        rewritten(folder, golden=[{**row, "floor_db": floor_db} for row in old])

    return change


def of_model(data: bytes) -> Callable[[Path], None]:
    """Another model, with its hash."""
    return lambda folder: altered(folder, "artifact/model.onnx", data)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (cut, "model.onnx: cut short ("),
    "altered": (bent, "model.onnx: was altered (its sha256 differs); copy the bundle again"),
    "missing": (lambda folder: (folder / "artifact" / "model.onnx").unlink(), "model.onnx: missing"),
    "a link": (linked, "model.onnx: a link, and bundles hold none"),
    "a link above": (linked_above, "artifact: a link, and bundles hold none"),
    "one too many": (lambda folder: (folder / "artifact" / "build.py").touch(), "build.py: no file of this bundle"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "no bundle is here"),
    "manifest cut": (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: damaged"),
    "newer": (lambda folder: rewritten(folder, schema_version=2), "schema 2 is newer than this runner's 1"),
    "no schema": (lambda folder: rewritten(folder, schema_version="1"), "damaged: schema_version is '1'"),
    "schema 0": (lambda folder: rewritten(folder, schema_version=0), "damaged: schema_version is 0"),
    "schema true": (lambda folder: rewritten(folder, schema_version=True), "damaged: schema_version is True"),
    "a number as version": (needing(from_version=5), "damaged: needs: from_version is 5"),
    "rails of numbers": (of_profile(rails=[1]), "damaged: rails is no object"),
    "a number as system": (of_profile(system=1), "damaged: profile: system is 1"),
    "tasks of numbers": (lambda folder: rewritten(folder, tasks=[1]), "damaged: tasks are [1]"),
    "a floor of text": (with_floor("60"), "damaged: golden: floor_db is '60'"),
    "a floor of no number": (with_floor(float("nan")), "damaged: golden: floor_db is nan"),
    "another system": (of_system("macOS 15"), "is for another (Darwin), and this machine is Linux"),
    "another processor": (of_system("Linux, 64-bit Arm"), "is for another (arm), and this machine is x86"),
    "another runner": (lambda folder: rewritten(folder, runner="android"), "and its android runner; use that"),
    "another target": (lambda folder: rewritten(folder, target="coreml"), "cannot run target coreml"),
    "runtime too old": (needing(from_version="99.1"), "is here, and the bundle needs 99.1 or later; python3 -m pip"),
    "runtime too new": (needing(below_version="1.2"), "needs one below 1.2; python3 -m pip install 'onnxruntime"),
    "runtime missing": (lambda folder: rewritten(folder, target="tensorrt"), "it comes with JetPack: sudo apt"),
    "a model of text": (of_model(b"no model"), "does not load the model"),
}


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="not here: not x86 Linux")
@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(change: Callable[[Path], object], says: str, bundle_copy: Path) -> None:
    """One line, exit 2; restore refuses what check refuses, and writes nothing."""
    change(bundle_copy)
    assert_refused(run(bundle_copy, "check"), says)
    write_picture(Picture(noise(0)), bundle_copy.parent / "a.png")
    assert_refused(run(bundle_copy, "restore", bundle_copy.parent / "a.png", "--out", bundle_copy.parent / "out"), says)
    assert not (bundle_copy.parent / "out").exists()


def test_another_device_runs_it_when_told_to(bundle_copy: Path) -> None:
    """Whoever says so takes the word for it."""
    of_system("Linux, 64-bit Arm")(bundle_copy)
    assert run(bundle_copy, "check", "--any-device", "--threads", "1").returncode == 0


@pytest.mark.parametrize(
    "words",
    [(), ("fly",), ("check", "now"), ("restore", "a.png"), ("check", "--threads", "0"), ("check", "--threads", "²"),
     ("check", "--threads", "99999999999"),
     ("profile", "--size", "64"), ("profile", "--seconds", "nan"), ("restore", "--out", "b"), ("unpack", "a")],
)  # fmt: skip
def test_wrong_words_show_how_it_is_called(words: tuple[str, ...], bundle_folder: Path) -> None:
    """Exit 2, no traceback."""
    ended = run(bundle_folder, *words)
    assert ended.returncode == 2
    assert "usage: run.sh" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_restores_as_the_model_does(bundle_folder: Path, made_bundle: Path, tmp_path: Path) -> None:
    """Any size, one picture or several, each as 8 bits of what the network gives."""
    network = NetworkRunner(load(made_bundle.parent / "model.safetensors").network)
    sizes = {"a.png": (33, 41), "b.webp": (64, 24), "c.tiff": (8, 8)}
    for name, (height, width) in sizes.items():
        write_picture(Picture(noise(1, height=height, width=width)), tmp_path / name)
    ended = run(bundle_folder, "restore", *[tmp_path / name for name in sizes], "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert [line.split(" -> ")[0] for line in ended.stdout.splitlines()] == [str(tmp_path / name) for name in sizes]
    for name in sizes:
        expected = run_padded(network, read_picture(tmp_path / name).pixels).restored
        found = read_picture(tmp_path / "out" / name).pixels
        np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=0.51 / 255)


def test_strength_tiles_and_force(bundle_folder: Path, tmp_path: Path) -> None:
    """Strength 0 is the picture; a picture that is there stays unless forced; tiles come close to the whole."""
    given = noise(2, height=100, width=120)
    write_picture(Picture(given), tmp_path / "a.png")
    words = ("restore", tmp_path / "a.png", "--out", tmp_path / "out", "--threads", "1")
    assert run(bundle_folder, *words, "--strength", "0").returncode == 0
    assert np.array_equal(read_picture(tmp_path / "out" / "a.png").pixels, read_picture(tmp_path / "a.png").pixels)
    assert_refused(run(bundle_folder, *words), "exists already; give another folder with --out, or --force")
    assert run(bundle_folder, *words, "--force").returncode == 0
    whole = read_picture(tmp_path / "out" / "a.png").pixels
    ended = run(bundle_folder, *words, "--force", "--tile", "72")
    assert "in tiles of 72x72 (below 384: expect seams)" in ended.stdout
    assert 20 < psnr_db(whole, read_picture(tmp_path / "out" / "a.png").pixels) < 100


def test_without_pillow_pictures_are_checked_but_not_restored(bundle_folder: Path, tmp_path: Path) -> None:
    """What to install is said; check needs it not."""
    write_picture(Picture(noise(0)), tmp_path / "a.png")
    lacking, folder = "sys.modules['PIL'] = None", ("--folder", bundle_folder, "--threads", "1")
    assert ended_after(lacking, "check", *folder).returncode == 0
    ended = ended_after(lacking, "restore", tmp_path / "a.png", "--out", tmp_path / "out", *folder)
    assert_refused(ended, "Pillow does not load (")
    assert ended.stderr.endswith("; python3 -m pip install Pillow\n")


def test_our_own_faults_are_one_line_too(bundle_folder: Path) -> None:
    """Exit 1; where it happened is shown to who asks."""
    broken = "import bundle; bundle.read_manifest = lambda folder: 1 / 0"
    ended = ended_after(broken, "check", "--folder", bundle_folder)
    assert_refused(ended, "internal error: ZeroDivisionError: division by zero; please report it", code=1)
    shown = ended_after(f"import os; os.environ['MOCEIR_EDGE_TRACEBACK'] = '1'; {broken}", "check")
    assert "Traceback" in shown.stderr


STDLIB_NAMES = set(sys.stdlib_module_names) - {"__main__"}


def test_no_file_hides_a_module_of_python(tmp_path: Path) -> None:
    """The runner's folder comes first where Python looks: a profile.py there would break cProfile."""
    assert not {path.stem for path in SOURCES} & STDLIB_NAMES
    program = f"import sys; sys.path.insert(0, {str(SOURCES[0].parent)!r}); import cProfile; cProfile.run('1')"
    ended = subprocess.run([sys.executable, "-I", "-B", "-c", program], check=False, capture_output=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_what_a_bundle_says_does_not_reach_the_terminal_raw(bundle_copy: Path) -> None:
    """Names and titles are of whoever made the bundle: one that clears the screen is shown with question marks."""
    golden = json.loads((bundle_copy / "manifest.json").read_bytes())["golden"]
    rewritten(bundle_copy, golden=[{**row, "name": "rain\x1b[2J\u202e", "floor_db": 500.0} for row in golden])
    ended = run(bundle_copy, "check", "--threads", "1")
    assert ended.returncode == 3
    assert "rain?[2J?: " in ended.stdout
    assert "error: rain?[2J?: " in ended.stderr
    of_profile(title="\x1b]0;owned\x07", system="macOS")(bundle_copy)
    assert_refused(run(bundle_copy, "check"), "this bundle is for ?]0;owned? (Darwin)")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="not here: no /dev/zero")
def test_a_key_without_end_is_not_read_whole(bundle_folder: Path) -> None:
    """Nothing longer than a key is read."""
    ended = run(bundle_folder, "check", "--require-signature", "/dev/zero")
    assert_refused(ended, "/dev/zero: longer than 65536 bytes, so it is not what it should be; check the path")


@pytest.mark.parametrize("part", ["picture_files.decoded", "restore.write_picture", "restore.gates_for"])
def test_memory_that_ends_is_told(part: str, bundle_folder: Path, tmp_path: Path) -> None:
    """While a picture is read, restored or written; nothing half-written stays."""
    write_picture(Picture(noise(0)), tmp_path / "a.png")
    program = f"import picture_files, restore\ndef full(*_, **__): raise MemoryError('of 9 GiB')\n{part} = full"
    words = ("--out", tmp_path / "out", "--folder", bundle_folder, "--threads", "1", "--tile", "72")
    ended = ended_after(program, "restore", tmp_path / "a.png", *words)
    assert_refused(ended, "a.png: no memory (of 9 GiB); end other programs, or ")
    assert not (tmp_path / "out").exists()


NAN = "import onnx_backend as b; run = b.OnnxBackend.run; b.OnnxBackend.run = lambda *given: nan(run(*given))"


def test_a_picture_of_no_numbers_is_not_written(bundle_folder: Path, tmp_path: Path) -> None:
    """Exit 3, with picture and model; it would have been black, with exit 0."""
    write_picture(Picture(noise(0)), tmp_path / "a.png")
    program = f"def nan(found): return dict(found, restored=found['restored'] * float('nan'))\n{NAN}"
    words = ("--out", tmp_path / "out", "--folder", bundle_folder, "--threads", "1")
    ended = ended_after(program, "restore", tmp_path / "a.png", *words)
    assert_refused(ended, f"a.png: the model of {bundle_folder.name} gives NaN or infinity; do not ship it", code=3)
    assert not (tmp_path / "out").exists()


def test_one_damaged_picture_does_not_keep_the_others_from_theirs(bundle_folder: Path, tmp_path: Path) -> None:
    """They are written, it is named, exit 2; once it is mended, the same command does what is missing."""
    names = ("a.png", "cut.png", "z.png")
    for number, name in enumerate(names):
        write_picture(Picture(noise(number)), tmp_path / name)
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    words = ("restore", *(tmp_path / name for name in names), "--out", tmp_path / "out", "--threads", "1")
    ended = run(bundle_folder, *words)
    assert ended.returncode == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "z.png"]
    assert f"error: 1 of 3 pictures were not restored: {tmp_path / 'cut.png'}; mend them" in ended.stderr
    (tmp_path / "cut.png").write_bytes(whole)
    before = (tmp_path / "out" / "a.png").stat().st_mtime_ns
    ended = run(bundle_folder, *words)
    assert ended.returncode == 0, ended.stderr
    assert [line.split(" -> ")[0] for line in ended.stdout.splitlines()] == [str(tmp_path / "cut.png")]
    assert "a.png: exists already, and is left alone; --force replaces it" in ended.stderr
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before
    assert_refused(run(bundle_folder, *words), "exists already; give another folder with --out, or --force")


def test_headers_are_looked_at_before_the_first_picture(bundle_folder: Path, pictures: Path, tmp_path: Path) -> None:
    """What is not taken at all ends the command before anything is written."""
    words = ("restore", pictures / "a.png", pictures / "deep.png", "--out", tmp_path / "out")
    assert_refused(run(bundle_folder, *words), "deep.png: more than 8 bit a sample")
    assert not (tmp_path / "out").exists()


def with_guard(folder: Path, threshold: float) -> None:
    """A guard that knows one picture, of which every score is a half."""
    artifact = json.loads((folder / "artifact" / "artifact.json").read_bytes())
    layers, experts = next(row["shape"][1:] for row in artifact["interface"]["outputs"] if row["name"] == "scores")
    known = [[float(np.log(0.5))] * layers * experts]
    artifact["guard"] = {"pictures": known, "neighbours": 1, "floor": 0.001, "threshold": threshold}
    altered(folder, "artifact/artifact.json", json.dumps(artifact).encode())


def test_a_picture_of_another_task_is_warned_of(bundle_copy: Path) -> None:
    """By the artifact's guard, over all tiles; the picture is restored all the same, and others pass in silence."""
    write_picture(Picture(noise(2, height=100, width=120)), bundle_copy.parent / "a.png")
    words = ("restore", bundle_copy.parent / "a.png", "--out", bundle_copy.parent / "out", "--force", "--tile", "72")
    with_guard(bundle_copy, 0.0)
    ended = run(bundle_copy, *words)
    assert ended.returncode == 0
    warned = f"warning: {words[1]} looks like none of derain, which this model is for: routing distance "
    assert ended.stderr.startswith(warned)
    assert ended.stderr.endswith(", limit 0.00\n")
    assert (bundle_copy.parent / "out" / "a.png").is_file()
    with_guard(bundle_copy, 100.0)
    assert run(bundle_copy, *words).stderr == ""


def test_an_artifact_that_takes_gates_decides_by_itself(tmp_path: Path) -> None:
    """Its routers do; the route of a picture in tiles is decided once, on the picture made small."""
    artifact = small_artifact(tmp_path, gates_input=True)
    bundle(artifact, DEVICE, tmp_path / "gated.tar.gz")
    folder = unpacked(tmp_path / "gated.tar.gz", tmp_path)
    ended = run(folder, "check", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    assert "(at least 60.0)" in ended.stdout
    write_picture(Picture(noise(2, height=100, width=120)), tmp_path / "a.png")
    words = ("restore", tmp_path / "a.png", "--out", tmp_path / "out", "--tile", "72")
    ended = run(folder, *words)
    assert "in tiles of 72x72" in ended.stdout, ended.stderr


OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "strength": (("a.png", "--strength", "1.5"), "strength 1.5 is out of range"),
    "strength, nan": (("a.png", "--strength", "nan"), "strength nan is out of range"),
    "tile": (("a.png", "--tile", "60"), "tile 60 is not possible; give a multiple of 8 above 64"),
    "missing": (("nowhere.png",), "nowhere.png: no such file"),
    "no picture": (("text.txt",), "text.txt: not a picture by its name"),
    "text": (("text.png",), "text.png: not a PNG, JPEG, WebP or TIFF picture"),
    "empty": (("empty.png",), "empty.png: not a PNG, JPEG, WebP or TIFF picture"),
    "cut": (("cut.png",), "cut.png: damaged or incomplete"),
    "16 bit": (("deep.png",), "deep.png: more than 8 bit a sample; save it in 8 bit"),
    "16 bit TIFF": (("deep.tiff",), "deep.tiff: more than 8 bit a sample"),
    "moving": (("moving.png",), "moving.png: holds 2 pictures"),
    "moving WebP": (("moving.webp",), "moving.webp: holds 2 pictures"),
    "huge": (("huge.png",), "huge.png: 20000x10000 is 200000000 pixels, and the limit is 67108864"),
    "no pixels": (("none.png",), "none.png: "),
    "CMYK": (("cmyk.jpg",), "CMYK are not supported; save it as 8 bit RGB, or use `moceir-edge restore`"),
    "transparent PNG as JPEG": (
        ("clear.jpg",),
        "clear.jpg: a PNG with transparency by its content, which JPEG does not",
    ),
    "transparent palette as JPEG": (("palette.jpg",), "palette.jpg: a PNG with transparency by its content"),
    "twins": (("a.png", "other/a.png"), "two pictures would get the same name"),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Right and wrong ones."""
    from PIL import Image

    place = tmp_path_factory.mktemp("pictures")
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (0, 255)]
    write_picture(Picture(noise(0)), place / "a.png")
    write_picture(Picture(noise(1)), place / "other" / "a.png")
    write_picture(Picture(noise(0), 16), place / "deep.png")
    write_picture(Picture(noise(0), 16), place / "deep.tiff")
    for name in ("text.txt", "text.png"):
        (place / name).write_text("nothing of ours, and longer than any head\n")
    (place / "empty.png").touch()
    whole = (place / "a.png").read_bytes()
    (place / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("moving.png", "moving.webp"):
        frames[0].save(place / name, save_all=True, append_images=frames[1:])
    frames[0].convert("CMYK").save(place / "cmyk.jpg")
    clear = Image.fromarray(np.full((16, 16, 4), 100, np.uint8))
    clear.save(place / "clear.jpg", "PNG")
    clear.convert("P").save(place / "palette.jpg", "PNG", transparency=0)
    (place / "huge.png").write_bytes(sized(whole, 20000, 10000))
    (place / "none.png").write_bytes(sized(whole, 0, 0))
    return place


def sized(png: bytes, width: int, height: int) -> bytes:
    """A PNG whose header names another size."""
    import zlib

    header = png[12:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + png[24:29]
    return png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:]


@pytest.mark.parametrize(("words", "says"), OPTIONS.values(), ids=OPTIONS)
def test_pictures_and_options_that_are_refused(
    words: tuple[str, ...], says: str, bundle_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    """One line, exit 2, and nothing half-written."""
    given = [pictures / word if "." in word and not word[0].isdigit() else word for word in words]
    assert_refused(run(bundle_folder, "restore", *given, "--out", tmp_path / "out"), says)
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_an_input_is_refused(bundle_folder: Path, tmp_path: Path) -> None:
    """--force does not overwrite what is read."""
    write_picture(Picture(noise(0)), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    ended = run(bundle_folder, "restore", tmp_path / "a.png", "--out", tmp_path, "--force")
    assert_refused(ended, "an input, and would be overwritten")
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_folder_that_cannot_be_made_is_said(bundle_folder: Path, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    write_picture(Picture(noise(0)), tmp_path / "a.png")
    (tmp_path / "file").touch()
    ended = run(bundle_folder, "restore", tmp_path / "a.png", "--out", tmp_path / "file")
    assert_refused(ended, "cannot be written")
    assert "free some space" not in ended.stderr
