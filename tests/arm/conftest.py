"""A small artifact for ONNX Runtime, and a setup that runs it with this machine's own Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from moceir_edge.arm.sysroot import READY, Sysroot
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import SIZE, recipe, small_network


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network of 40x32 in float32, with two golden pictures, not judged."""
    folder = tmp_path_factory.mktemp("artifact")
    model = LoadedModel(small_network(), "small")
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    write_artifact(Source(model, model, (Task.DERAIN,)), recipe("onnx"), dataset(picture), folder)
    return folder


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """A finished setup whose QEMU is a shell script: it gets the words that QEMU would get."""

    def make(script: str) -> Path:
        folder = tmp_path / "sys"
        (folder / "qemu").mkdir(parents=True)
        Sysroot(python="3.11", qemu="no QEMU", archives=()).write(folder / READY)
        program = folder / "qemu" / "qemu-aarch64"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return folder

    return make


NATIVE = f'shift 4; unset PYTHONHOME PYTHONPATH; exec {sys.executable} "$@"'
"""A QEMU that drops `-L ROOT PYTHON -B` and runs the script here."""
