"""A small artifact for ONNX Runtime, and a setup that runs it with this machine's own Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moceir_edge.arm.sysroot import READY, Sysroot
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import SIZE, recipe, small_network


def written(folder: Path, **fields: Any) -> Path:
    """A random network in float32 (or as the recipe's fields say), with two golden pictures, not judged."""
    model = LoadedModel(small_network(), "small")
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    write_artifact(Source(model, model, (Task.DERAIN,)), recipe("onnx", **fields), dataset(picture), folder)
    return folder


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 40x32."""
    return written(tmp_path_factory.mktemp("artifact"))


def whole_setup(folder: Path, script: str = "exit 0") -> Path:
    """What a finished setup leaves, as far as it is looked at; its QEMU is a shell script."""
    for name in ("qemu", "root/usr/bin", "site/onnxruntime", "site/numpy"):
        (folder / name).mkdir(parents=True)
    (folder / "root/usr/bin/python3.11").touch()
    program = folder / "qemu" / "qemu-aarch64"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    Sysroot(python="3.11", qemu="no QEMU", archives=()).write(folder / READY)
    return folder


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """A finished setup whose QEMU is a shell script: it gets the words that QEMU would get."""

    def make(script: str) -> Path:
        return whole_setup(tmp_path / "sys", script)

    return make


NATIVE = f'shift 4; unset PYTHONHOME PYTHONPATH; exec {sys.executable} "$@"'
"""A QEMU that drops `-L ROOT PYTHON -B` and runs the script here."""
