"""The Android app compiles against signatures of Android and ONNX Runtime; it is not verified on a device."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from moceir_edge.reaching.phone import ACTIVITY, ERROR_NAME, FILES, PACKAGE
from moceir_edge.resources import resource
from tests.devices.jvm import HERE, JSON, compile_java, compiled

PROJECT = resource("devices") / "android"
APP = PROJECT / "app" / "src" / "main"
ANDROID = "{http://schemas.android.com/apk/res/android}"


def stubs(path: Path, folder: Path) -> list[Path]:
    """Java files of signatures, one for each `== class`."""
    found = []
    for block in path.read_text().split("\n== ")[1:]:
        name, body = block.split("\n", 1)
        package, _, simple = name.rpartition(".")
        place = folder / package.replace(".", "/") / f"{simple}.java"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"package {package};\n{body}")
        found.append(place)
    return found


def resources() -> dict[str, list[str]]:
    """Names by kind, as Android's build makes the class R of them."""
    layouts = [path.stem for path in (APP / "res" / "layout").glob("*.xml")]
    written = "".join(path.read_text() for path in (APP / "res" / "layout").glob("*.xml"))
    strings = ET.parse(APP / "res" / "values" / "strings.xml").getroot()
    names = [str(each.get("name")) for each in strings]
    return {"layout": layouts, "id": sorted(set(re.findall(r"@\+id/(\w+)", written))), "string": names}


def class_r(folder: Path) -> Path:
    """R.java."""
    kinds = [
        f"static final class {kind} {{ {' '.join(f'static final int {name} = {i};' for i, name in enumerate(names))} }}"
        for kind, names in resources().items()
    ]
    place = folder / "R.java"
    place.write_text(f"package {PACKAGE};\nfinal class R {{ {' '.join(kinds)} }}\n")
    return place


def test_it_compiles(tmp_path: Path) -> None:
    """Against the core, the framework and ONNX Runtime, without a warning: every name and type is right."""
    core = compiled()
    signatures = [*stubs(HERE / "framework.stubs", tmp_path), *stubs(HERE / "onnxruntime.stubs", tmp_path)]
    classes = tmp_path / "classes"
    classes.mkdir()
    compile_java(classes, [*APP.rglob("*.java"), *signatures, class_r(tmp_path)], core, JSON)
    for name in ("OnnxSession", "Phone", "ProfileActivity", "RestoreActivity"):
        assert (classes / "io" / "moceir" / "edge" / f"{name}.class").is_file()


def test_every_resource_is_used() -> None:
    """By the code or by a layout; and a layout names no string that is not there."""
    sources = "".join(path.read_text() for path in [*APP.rglob("*.java"), *APP.rglob("*.xml")])
    for kind, names in resources().items():
        for name in names:
            assert f"R.{kind}.{name}" in sources or f"@{kind}/{name}" in sources, name
    assert set(re.findall(r"@string/(\w+)", sources)) <= set(resources()["string"])


def test_adb_finds_what_it_starts() -> None:
    """The activity that the host starts is exported, of the package and the folder that it writes to."""
    manifest = ET.parse(APP / "AndroidManifest.xml").getroot()
    activities = {each.get(f"{ANDROID}name"): each for each in manifest.iter("activity")}
    assert f"{PACKAGE}/.ProfileActivity" == ACTIVITY
    assert activities[".ProfileActivity"].get(f"{ANDROID}exported") == "true"
    for name in activities:
        assert (APP / "java" / PACKAGE.replace(".", "/") / f"{str(name)[1:]}.java").is_file()
    build = (PROJECT / "app" / "build.gradle").read_text()
    assert f"applicationId = '{PACKAGE}'" in build
    assert f"namespace = '{PACKAGE}'" in build
    assert f"/sdcard/Android/data/{PACKAGE}/files" == FILES
    source = (APP / "java" / "io" / "moceir" / "edge" / "ProfileActivity.java").read_text()
    for extra in ("bundle", "out"):
        assert f'request.file("{extra}")' in source
    assert f'"{ERROR_NAME}"' in source


def test_its_version_is_the_packages() -> None:
    """In Gradle's file and in what it writes into results; every library has one version, and none floats."""
    ours = version("moceir-edge")
    strings = ET.parse(APP / "res" / "values" / "strings.xml").getroot()
    assert {each.text for each in strings if each.get("name") == "version"} == {ours}
    assert f"versionName = '{ours}'" in (PROJECT / "app" / "build.gradle").read_text()
    pins = re.findall(r"'[\w.]+:[\w-]+:([^']+)'", "".join(path.read_text() for path in PROJECT.rglob("*.gradle")))
    assert len(pins) == 2
    assert all(re.fullmatch(r"[\d.]+(\.vaadin1)?", pin) for pin in pins)


@pytest.mark.parametrize(
    "name", ["settings.gradle", "build.gradle", "core/build.gradle", "app/build.gradle", "README.md"]
)
def test_the_project_is_whole(name: str) -> None:
    """What Gradle reads; its wrapper is nobody's source and is not here."""
    assert (PROJECT / name).is_file()
    assert not list(PROJECT.rglob("*.jar"))
