"""Bundled files are found by name, and a user's own file comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge import resources
from moceir_edge.errors import InputError
from moceir_edge.resources import find_resource, resource, resource_names


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "calibration/demo.yaml"])
def test_a_bundled_file_is_found_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any folder, with or without suffix, and as the checkout calls it."""
    monkeypatch.chdir(tmp_path)
    assert find_resource("calibration", name) == resource("calibration") / "demo.yaml"


def test_a_file_of_the_user_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that exists is taken as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yaml").write_text("a: 1\n")
    assert find_resource("calibration", "demo.yaml") == Path("demo.yaml")


def test_an_unknown_name_lists_the_known() -> None:
    """The message says what there is."""
    with pytest.raises(InputError, match="give a path or one of composite, demo, five_tasks, three_tasks"):
        find_resource("calibration", "seven_tasks")


def test_an_installed_package_has_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder inside the package is preferred to one beside it."""
    inside = tmp_path / "moceir_edge" / "_data" / "export"
    beside = tmp_path / "export"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        (folder / "desktop.yaml").write_text("a: 1\n")
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "moceir_edge" / "resources.py"))
    assert find_resource("export", "desktop") == inside / "desktop.yaml"
    assert resource_names("export") == ("desktop",)
