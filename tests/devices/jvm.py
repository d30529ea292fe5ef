"""The Android project's Java, compiled once and run on a JVM."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from moceir_edge.resources import resource

HERE = Path(__file__).parent / "android"
CORE = resource("devices") / "android" / "core" / "src" / "main" / "java"
JSON = Path("/usr/share/java/com.android.json.jar")
"""Android's own org.json, as Debian builds it (libandroid-json-java): what a phone has."""


def java() -> str:
    """The JVM; skips where there is none, or no compiler or library beside it."""
    found = shutil.which("java")
    if found is None or shutil.which("javac") is None or not JSON.exists():
        pytest.skip("not here: javac and Android's org.json (Debian: openjdk-17-jdk-headless, libandroid-json-java)")
    return found


@cache
def compiled() -> Path:
    """Classes of the core and of what the tests ask it with."""
    java()
    folder = Path(mkdtemp(prefix="moceir-edge-classes-"))
    compile_java(folder, [*CORE.rglob("*.java"), *HERE.glob("*.java")], JSON)
    return folder


def compile_java(folder: Path, sources: list[Path], *libraries: Path) -> None:
    """As Android does: Java 8's language and library, and no warning is left."""
    path = ":".join(map(str, libraries))
    words = ["javac", "--release", "8", "-Xlint:all,-options", "-Werror", "-d", str(folder), "-cp", path]
    done = subprocess.run([*words, *map(str, sources)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def answers(*asked: dict[str, Any]) -> list[Any]:
    """What the core says."""
    classes = f"{compiled()}:{JSON}"
    command = [java(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", classes, "io.moceir.edge.core.Answers"]
    done = subprocess.run(command, input=json.dumps(asked), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found
