"""What may change a result: code that travels to devices, and every library of a target."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moceir_edge import versions
from moceir_edge.resources import resource


def test_files_of_devices_are_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are copied into artifacts and decide proofs; what npm or Python left among them is not ours."""
    shutil.copytree(resource("devices"), tmp_path / "devices", ignore=shutil.ignore_patterns("node_modules"))
    before = versions.code_sha256()
    monkeypatch.setattr(versions, "resource", lambda _: tmp_path / "devices")
    assert versions.code_sha256() == before
    for folder in ("browser/node_modules", "jetson/__pycache__"):
        (tmp_path / "devices" / folder).mkdir(exist_ok=True)
        (tmp_path / "devices" / folder / "x.js").write_text("1")
    assert versions.code_sha256() == before
    with (tmp_path / "devices/browser/node.mjs").open("a") as file:
        file.write("\n")
    assert versions.code_sha256() != before


def test_the_browsers_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its version comes from npm; without it there is none."""
    monkeypatch.setattr(versions.browser_page, "library_version", lambda: "9.9.9")
    assert versions.versions()["onnxruntime-web"] == "9.9.9"
    monkeypatch.undo()
    monkeypatch.setattr(versions.browser_page, "WASM", ("absent",))
    assert "onnxruntime-web" not in versions.versions()
    assert versions.library_versions()["onnxruntime-web"] is None
