"""The built package: what is in it, and that it works where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("export", "calibration", "devices")


def built_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built into `folder` without a network."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("moceir_edge-*.whl")
    return wheel


def files_below(folder: Path) -> set[str]:
    """The files that git knows or would take, relative to `folder`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return {name for name in result.stdout.splitlines() if (folder / name).is_file()}


def test_wheel_carries_what_people_edit(tmp_path: Path) -> None:
    """Recipes, manifests with their pictures, and device files are in the wheel, below the package."""
    with zipfile.ZipFile(built_wheel(tmp_path)) as archive:
        names = set(archive.namelist())
    for folder in FOLDERS:
        expected = {f"moceir_edge/_data/{folder}/{name}" for name in files_below(ROOT / folder)}
        assert expected, f"{folder}/ is empty"
        assert not expected - names
    assert all(name.startswith(("moceir_edge/", "moceir_edge-")) for name in names)


@pytest.mark.slow
@pytest.mark.installs
def test_demo_runs_from_an_installed_wheel(tmp_path: Path) -> None:
    """In a new virtual environment and another folder, the wheel alone makes the demo's report."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*command: str | Path) -> str:
        """Standard output of a command that succeeds."""
        result = subprocess.run(command, check=False, cwd=elsewhere, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-4000:]
        return result.stdout

    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt")
    index = os.environ.get("TORCH_INDEX")
    run(*pip, "--upgrade", "pip")
    run(*pip, *(["--extra-index-url", index] if index else []), "torch")
    run(*pip, f"{built_wheel(tmp_path)}[all]")

    for folder in FOLDERS:
        program = f"from moceir_edge.resources import resource; print(resource('{folder}'))"
        found = Path(run(python, "-c", program).strip())
        assert found.is_relative_to(tmp_path / "venv")
        assert any(found.iterdir())

    run(tmp_path / "venv" / "bin" / "moceir-edge", "demo", "--out", tmp_path / "demo")
    assert (tmp_path / "demo" / "report.html").is_file()
