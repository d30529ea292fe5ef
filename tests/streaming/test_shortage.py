"""Memory that runs out makes tiles smaller, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from moceir_edge.data.images import Picture, write_picture
from moceir_edge.demonstration import MODEL
from moceir_edge.errors import InputError
from moceir_edge.network.checkpoint import load
from moceir_edge.streaming.shortage import halved, is_shortage, within_memory
from moceir_edge.targets.to_onnx import TARGET
from tests.streaming.artifacts import large_picture, written

Size = tuple[int, int]


def tried(largest: int, *, tile: Size = (1024, 768), fixed: bool = False) -> tuple[list[Size], list[str], Size]:
    """Tiles that were tried where more than `largest` pixels do not fit, what was said, and the last tile."""
    seen, said = list[Size](), list[str]()

    def attempt(size: Size) -> None:
        seen.append(size)
        if size[0] * size[1] > largest:
            raise MemoryError

    _, used = within_memory(attempt, tile, fixed=fixed, say=said.append)
    return seen, said, used


def test_tiles_are_halved_until_they_fit() -> None:
    """The longer side first; every step is said."""
    seen, said, used = tried(200_000)
    assert seen == [(1024, 768), (512, 768), (512, 384)]
    assert used == (512, 384)
    assert said == [
        "memory is short for tiles of 768x1024: going on with 768x512",
        "memory is short for tiles of 768x512: going on with 384x512",
    ]


def test_what_fits_is_tried_once() -> None:
    """Without a word."""
    assert tried(10**9) == ([(1024, 768)], [], (1024, 768))


def test_an_end_is_reached() -> None:
    """The smallest tile, or the only one that is served, is too large: an error that says so."""
    with pytest.raises(InputError, match="even for tiles of 128x128"):
        tried(0)
    with pytest.raises(InputError, match="even for tiles of 768x1024"):
        tried(0, fixed=True)
    assert halved((128, 128)) is None
    assert halved((72, 72)) is None


def test_real_libraries_are_understood() -> None:
    """PyTorch is asked for 400 TB."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**14)
    assert is_shortage(raised.value)


def test_other_errors_stay() -> None:
    """A wrong shape does not become right in a smaller tile."""

    def attempt(_: Size) -> None:
        raise ValueError("height and width must be multiples of 8")

    with pytest.raises(ValueError, match="multiples"):
        within_memory(attempt, (512, 512), fixed=False, say=lambda _: None)


RESTORE = """
import resource, sys
from pathlib import Path
from moceir_edge.data.images import read_samples
from moceir_edge.opening import open_path
from moceir_edge.streaming.budget import Budget
from moceir_edge.streaming.picture import Restorer
restorer = Restorer(Budget(open_path(Path(sys.argv[1]), threads=1), None, tile=768), say=print)
picture = read_samples(Path(sys.argv[2]))
used = 1024 * int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 2**20, resource.RLIM_INFINITY))
samples, cut = restorer.restore(picture, bits=8)
print(samples.shape, cut.tiles > 1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="not here: Linux alone keeps a process within a limit")
@pytest.mark.skipif(TARGET.missing() is not None, reason=f"not here: {TARGET.missing()}")
def test_a_process_that_may_not_grow_goes_on_with_smaller_tiles(tmp_path: Path) -> None:
    """ONNX Runtime gets no memory for 768x768: it is said, and the picture is restored in smaller tiles."""
    artifact = written(TARGET, load(MODEL).network, tmp_path / "tiny")
    write_picture(Picture(large_picture(768, 768)), tmp_path / "a.png")
    words = [sys.executable, "-c", RESTORE, str(artifact), str(tmp_path / "a.png")]
    ended = subprocess.run(words, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "memory is short for tiles of 768x768: going on with" in ended.stdout
    assert ended.stdout.endswith("(768, 768, 3) True\n")
