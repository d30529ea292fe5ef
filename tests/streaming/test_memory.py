"""What a large photograph takes: the peak of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from moceir_edge.data.images import Picture, write_picture
from moceir_edge.demonstration import MODEL
from moceir_edge.network.checkpoint import load
from moceir_edge.targets.to_onnx import TARGET
from tests.streaming.artifacts import large_picture, written

RESIDENT_BYTES = 1.5e9

RESTORE = """
import json, sys
from pathlib import Path
from moceir_edge.streaming.restore import restore
from moceir_edge.targets.memory_probe import peak_mib
artifact, picture, out = map(Path, sys.argv[1:])
result = restore(artifact, [picture], out, threads=2)
cut = result.cut[str(picture)]
print(json.dumps({"mib": peak_mib(), "tiles": cut.tiles, "torch": "torch" in sys.modules, "at": cut.decided_at}))
"""


@pytest.mark.slow
@pytest.mark.skipif(TARGET.missing() is not None, reason=f"not here: {TARGET.missing()}")
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read on Linux and macOS only")
def test_twelve_megapixels_take_at_most_1_5_gb(tmp_path: Path) -> None:
    """4000x3000 with the trained tiny network as an artifact, without being asked for tiles, and without PyTorch."""
    artifact = written(TARGET, load(MODEL).network, tmp_path / "tiny", gates_input=True, measured=True)
    write_picture(Picture(large_picture(3000, 4000)), tmp_path / "photo.jpg")
    words = [sys.executable, "-c", RESTORE, str(artifact), str(tmp_path / "photo.jpg"), str(tmp_path / "out")]
    ended = subprocess.run(words, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["tiles"] > 1
    assert found["at"] is not None
    assert not found["torch"]
    assert found["mib"] * 2**20 <= RESIDENT_BYTES
