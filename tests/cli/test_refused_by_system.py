"""What the machine refuses: full disks, no permission, libraries that are not there; and people who lose patience."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moceir_edge.cli.entry import run
from tests.cli.calls import Captured, assert_refused, result_of
from tests.cli.world import snapshot

WRITERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "convert": ("convert model.safetensors disk/new.safetensors", ()),
    "convert to published": ("convert model.safetensors disk/new.ckpt", ()),
    "observe": ("observe model.safetensors --data data --no-relevance --out disk/new.json", ()),
    "slim": (
        "slim model.safetensors --routing routing.json --task derain --max-experts 1 --out disk/new.safetensors",
        (),
    ),
    "narrow": (
        "narrow slim.safetensors --data data --keep-macs 0.8 --multiple 8 --out disk/new.safetensors",
        ("disk/new.safetensors.run", "disk/new.safetensors.run/stages"),
    ),
    "frontier": (
        "frontier slim.safetensors --data data --keep-macs 1 --recipe recipe.yaml --out disk/new",
        ("disk/new", "disk/new/stages"),
    ),
    "export": ("export slim.safetensors --recipe recipe.yaml --data data --out disk/new", ()),
    "restore": ("restore model.safetensors photos --out disk/new", ("disk/new",)),
    "pipeline": (
        "pipeline --checkpoint model.safetensors --task derain --recipe recipe.yaml --data data --out disk/new",
        ("disk/new", "disk/new/stages"),
    ),
    "bundle": ("bundle artifact --device x86_laptop --out disk/new.tar.gz", ()),
    "demo": ("demo --out disk/new", ("disk/new", "disk/new/stages")),
    "report": ("report disk/run", ()),
}
"""Command lines that write below `disk`, and the folders that may stay there empty."""


def mounted(folder: Path, options: str) -> bool:
    """Mount a disk in memory, where the machine lets us."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def disk(world: Path) -> Iterator[Path]:
    """An empty folder for a disk."""
    folder = world / "disk"
    folder.mkdir()
    yield folder
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)
    shutil.rmtree(folder)


@pytest.fixture
def full_disk(world: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk without a free byte; where nobody may mount one, writing is refused as it would be there."""
    disk_is_small = mounted(disk, "size=64k")
    shutil.copytree(world / "run", disk / "run")
    if disk_is_small:
        with pytest.raises(OSError, match="No space left"), (disk / "filler").open("wb") as filler:
            filler.write(bytes(2**17))
        return disk

    monkeypatch.setattr(Path, "write_bytes", _refusing(Path.write_bytes, 0))
    monkeypatch.setattr(Path, "write_text", _refusing(Path.write_text, 0))
    monkeypatch.setattr(shutil, "copyfile", _refusing(shutil.copyfile, 1))
    return disk


def _refusing(write: Callable[..., object], position: int) -> Callable[..., object]:
    """The same function; it finds the disk full where its argument at `position` is a path below `disk`."""

    def refuse(*arguments: object, **options: object) -> object:
        if "disk" in Path(str(arguments[position])).parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[position]))
        return write(*arguments, **options)

    return refuse


@pytest.fixture
def readonly_disk(disk: Path) -> Iterator[Path]:
    """A disk that nobody may write to."""
    if os.geteuid() != 0:
        disk.chmod(0o500)
    elif not mounted(disk, "ro,size=64k"):
        pytest.skip("not here: root is refused nothing, and cannot mount a disk")
    yield disk
    if os.geteuid() != 0:
        disk.chmod(0o700)


@pytest.mark.parametrize(("words", "left"), WRITERS.values(), ids=WRITERS)
def test_full_disk(words: str, left: tuple[str, ...], world: Path, full_disk: Path, capfd: Captured) -> None:
    """Whoever writes says that the disk is full, and leaves no part of a file."""
    assert_refused(words.split(), "disk/.*: the disk is full", capfd, folder=world, left=left)


def test_full_disk_for_a_result(world: Path, full_disk: Path, capfd: Captured) -> None:
    """Its name has the time in it, so that no two errors are alike; no part of it stays."""
    assert run(["profile", "artifact", "-q", "--runs", "1", "--threads", "1", "--out", "disk/new"]) == 2
    assert re.search(r"error: disk/new/here-\w+-\w+\.json: the disk is full", capfd.readouterr().err)
    assert list((full_disk / "new").iterdir()) == []


def test_full_disk_for_temporary_files(
    world: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    """An export is made in a temporary folder first, whose disk may be the full one."""
    monkeypatch.setattr(tempfile, "tempdir", str(full_disk))
    words = "export slim.safetensors --recipe recipe.yaml --data data --out new"
    assert_refused(words.split(), "disk: the disk is full", capfd, folder=world)


def test_log_on_a_full_disk_ends_alone(world: Path, full_disk: Path, capfd: Captured) -> None:
    """The work goes on, and the end of the log is said once."""
    value = result_of(["evaluate", "model.safetensors", "--data", "data", "--log", "disk/log"], capfd)
    assert value["sets"][0]["task"] == "derain"


@pytest.mark.parametrize("words", [words for words, _ in WRITERS.values() if "report" not in words])
def test_no_permission(words: str, world: Path, readonly_disk: Path, capfd: Captured) -> None:
    """Said before any work is done."""
    assert_refused(words.split(), "disk/.*: no permission to write", capfd, folder=world)


def test_no_permission_for_results(world: Path, readonly_disk: Path, capfd: Captured) -> None:
    """Said before anything is run."""
    words = ["profile", "artifact", "--out", "disk/new"]
    assert_refused(words, "disk/.*: no permission to write", capfd, folder=world)


ONNX, TENSORRT = ("onnx", "onnxruntime", "nncf"), ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
MISSING: dict[str, tuple[str, tuple[str, ...], str]] = {
    **{
        f"export without {name}": (
            "export slim.safetensors --recipe recipe.yaml --data data --out new",
            (name,),
            f"target onnx: {name} not installed",
        )
        for name in ONNX
    },
    "export for TensorRT": (
        "export slim.safetensors --recipe jetson --data data --out new",
        TENSORRT,
        "target tensorrt: tensorrt is not installed",
    ),
    "export for Core ML": (
        "export slim.safetensors --recipe ios --data data --out new",
        ("coremltools",),
        "target coreml: coremltools is not installed",
    ),
    "frontier": (
        "frontier slim.safetensors --data data --out new",
        ("onnxruntime",),
        "target onnx: onnxruntime not installed",
    ),
    "narrow to a latency": (
        "narrow slim.safetensors --data data --max-latency-ms 5 --out new.safetensors",
        ("onnxruntime",),
        "target onnx: onnxruntime not installed",
    ),
    "narrow with training": (
        "narrow slim.safetensors --data data --keep-macs 0.8 --distil distil --out new.safetensors",
        ("lightning",),
        "lightning not installed",
    ),
    "pipeline": (
        "pipeline --checkpoint model.safetensors --task derain --recipe desktop --data data --out new",
        ("onnxruntime",),
        "target onnx: onnxruntime not installed",
    ),
    "bundle": (
        "bundle artifact --device x86_laptop --out new.tar.gz",
        ("onnxruntime",),
        "onnxruntime is not installed",
    ),
    "bundle, signed": (
        "bundle artifact --device x86_laptop --sign key.pem --out new.tar.gz",
        ("cryptography.hazmat.primitives.asymmetric.ed25519",),
        "cryptography is not installed",
    ),
    "verify": (
        "verify artifact --reference slim.safetensors --data data",
        ("onnxruntime",),
        "onnxruntime is not installed",
    ),
    "evaluate": ("evaluate artifact --data data", ("onnxruntime",), "onnxruntime is not installed"),
    "restore": ("restore artifact photos --out new", ("onnxruntime",), "onnxruntime is not installed"),
    "restore a video": ("restore model.safetensors wrong/text.mp4 --out new", ("av",), "av is not installed"),
    "export for OpenVINO": (
        "export slim.safetensors --recipe openvino --data data --out new",
        ("openvino",),
        "target openvino: openvino not installed",
    ),
    "train": ("train --config train.yaml --data data --out new", ("lightning",), "lightning not installed"),
    "demo": ("demo --out new", (*ONNX, *TENSORRT, "coremltools"), "no target works here"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_library(name: str, world: Path, monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> None:
    """The library is named, and what installs it."""
    words, absent, says = MISSING[name]
    for library in absent:
        monkeypatch.setitem(sys.modules, library, None)
    assert_refused(words.split(), says, capfd, folder=world)
    run([*words.split(), "-q"])
    assert "pip install 'moceir-edge[" in capfd.readouterr().err


def test_doctor_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> None:
    """It answers on a bare machine, too."""
    for name in (*ONNX, *TENSORRT, "coremltools"):
        monkeypatch.setitem(sys.modules, name, None)
    targets = result_of(["doctor"], capfd)["targets"]
    assert [target["works"] for target in targets] == [False] * len(targets)
    assert all("pip install 'moceir-edge[" in target["remedy"] for target in targets)


def started(words: str, folder: Path) -> subprocess.Popen[str]:
    """The program, as from a shell; it can be interrupted where these tests, run in the background, cannot."""
    command = [sys.executable, "-m", "moceir_edge", *words.split()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    inherited = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)
    finally:
        signal.signal(signal.SIGINT, inherited)


FROM_A_SHELL = {
    "": "Missing command",
    "inspect wrong/pickle.ckpt": "needs code to load",
    "restore wrong/code.ckpt photos --out new": "needs code to load",
    "export model.safetensors --recipe wrong/everything.recipe.yaml --data data --out new": "key 'target' is doubled",
}


@pytest.mark.parametrize(("words", "says"), FROM_A_SHELL.items())
def test_two_lines_from_a_shell(words: str, says: str, world: Path) -> None:
    """A fresh process says the same: exit 2, two lines, no warnings of libraries, and no code has run."""
    before = snapshot(world)
    process = started(words, world)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    what, remedy = err.splitlines()
    assert says in what
    assert remedy.startswith("  ")
    assert snapshot(world) == before


def test_interrupted_restore_does_not_promise_to_go_on(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It keeps what is written, and has no folder from which it continues."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("moceir_edge.streaming.restore.open_path", interrupted)
    assert run(["restore", "model.safetensors", "photos", "--out", "new"]) == 130
    assert capfd.readouterr().err.splitlines() == [
        "error: interrupted",
        "  start it again with --force; that restores what is written again",
    ]


@pytest.mark.parametrize("flag", ["", "--json"])
def test_interrupted_run_leaves_whole_files(flag: str, world: Path) -> None:
    """Ctrl-C ends with 130 and two lines; what is there can be read, and nothing temporary is left."""
    words = "pipeline --checkpoint model.safetensors --task derain --recipe recipe.yaml --data data --out interrupted"
    process = started(f"{words} {flag}", world)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("routing: running"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    found = snapshot(world / "interrupted")
    contents = [json.loads((world / "interrupted" / name).read_text()) for name in found if name.endswith(".json")]
    shutil.rmtree(world / "interrupted")
    assert process.returncode == 130
    if flag:
        assert json.loads(out)["error"]["what"] == "interrupted"
    else:
        assert out == ""
        assert err.splitlines()[-2:] == ["error: interrupted", "  start it again; a run continues where it stopped"]
    assert len(contents) == 4
    assert not [name for name in found if Path(name).name.startswith(".")]
    assert not any((world / "temporary").iterdir())
