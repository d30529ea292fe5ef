"""Pictures are cut as memory allows, where it is known what they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.data.images import Picture, read_picture, write_picture
from moceir_edge.errors import InputError
from moceir_edge.opening import Opened
from moceir_edge.program.lower import lower
from moceir_edge.streaming import restore as restoring
from moceir_edge.streaming.restore import restore
from tests.parity.fakes import noise
from tests.targets import fake
from tests.targets.networks import exported, recipe, small_network
from tests.test_tiling import Counting

SEEN = tuple[int, ...]


def restored(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    measured: bool = True,
    largest: tuple[int, int] | None = None,
    **options: float,
) -> list[SEEN]:
    """The sizes in which an artifact of 100 MiB and 1000 MiB a megapixel is given a picture of 256x192."""
    runner, said = Counting(), list[str]()
    artifact = exported(fake.TARGET, lower(small_network()), recipe("onnx", size="dynamic"), tmp_path / "artifact")
    artifact = artifact.model_copy(update={"largest": largest})
    if measured:
        artifact = artifact.model_copy(update={"memory_base_mib": 100.0, "memory_mib_per_megapixel": 1000.0})
    opened = Opened(tmp_path, runner, artifact=artifact)
    monkeypatch.setattr(restoring, "open_path", lambda path, threads: opened)
    write_picture(Picture(noise(0, height=192, width=256)), tmp_path / "in.png")
    restore(tmp_path, [tmp_path / "in.png"], tmp_path / "out", say=said.append, **options)  # type: ignore[arg-type]
    assert read_picture(tmp_path / "out" / "in.png").pixels.shape == (3, 192, 256)
    assert any("--memory cannot choose" in text for text in said) == (not measured and "memory_mib" in options)
    return runner.seen


def test_a_picture_that_fits_is_restored_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By itself half of what is free is enough here."""
    assert restored(monkeypatch, tmp_path) == [(192, 256)]


def test_less_memory_cuts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """166 MiB leave 24800 pixels beside the picture: 128 columns of all its 192 rows."""
    assert set(restored(monkeypatch, tmp_path, memory_mib=166.0)) == {(192, 128)}


def test_a_tile_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Memory plans only what nobody has decided."""
    assert set(restored(monkeypatch, tmp_path, memory_mib=166.0, tile=96)) == {(96, 96)}


def test_unknown_memory_leaves_it_to_the_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And says that --memory does nothing."""
    assert restored(monkeypatch, tmp_path, measured=False, memory_mib=120.0) == [(192, 256)]


def test_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(InputError, match="tiles of 128x128 take 156 MiB, and 49 MiB are allowed"):
        restored(monkeypatch, tmp_path, memory_mib=50.0)
    assert not (tmp_path / "out" / "in.png").exists()


def test_a_picture_beyond_the_largest_size_is_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """192 rows of 256 fit into 192x256, and not into the upright 256x192: tiles of its shorter side."""
    assert restored(monkeypatch, tmp_path, largest=(192, 256)) == [(192, 256)]
    (tmp_path / "out" / "in.png").unlink()
    seen = restored(monkeypatch, tmp_path, largest=(256, 160), measured=False)
    assert set(seen) == {(160, 160)}


def test_a_tile_beyond_the_largest_size_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what is served."""
    with pytest.raises(InputError, match="pictures up to 160x256, not tiles of 192"):
        restored(monkeypatch, tmp_path, largest=(256, 160), tile=192)
