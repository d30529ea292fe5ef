"""Opening what a user names: a MODEL file or an ARTIFACT folder, as something that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from moceir_edge.artifacts import Artifact, artifact_sha256, read_artifact
from moceir_edge.errors import ArtifactError
from moceir_edge.program.program import GATES
from moceir_edge.runner import NetworkRunner, Runner, Steered, TakesGates
from moceir_edge.targets.target import target_of

if TYPE_CHECKING:  # loads PyTorch, and artifacts do without
    from moceir_edge.network.checkpoint import LoadedModel


@dataclass(frozen=True)
class Opened:
    """What was named: exactly one of `model` and `artifact`; tasks: those it was made for, empty for a full model.

    steered: what takes gates, None where nothing does.
    """

    path: Path
    runner: Runner
    model: LoadedModel | None = None
    artifact: Artifact | None = None
    steered: TakesGates | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks it was made for; empty where it serves all."""
        if self.artifact is not None:
            return self.artifact.tasks
        assert self.model is not None
        return tuple(self.model.provenance.get("tasks", ()))

    @property
    def sha256(self) -> str:
        """Hash of the model, or of the artifact."""
        if self.artifact is not None:
            return artifact_sha256(self.path)
        assert self.model is not None
        return self.model.sha256


def open_path(path: Path, *, threads: int | None = None) -> Opened:
    """Open a MODEL or an ARTIFACT; ArtifactError where nothing here runs or emulates the artifact.

    threads: of the artifact's runtime, None leaves them to it; PyTorch's own are set by `torch_threads`.
    """
    if not path.is_dir():
        from moceir_edge.network.checkpoint import load

        model = load(path)
        network = NetworkRunner(model.network)
        return Opened(path, network, model=model, steered=network if model.network.architecture.guarded else None)
    artifact = read_artifact(path)
    target = target_of(artifact.target)
    runner = target.runner(artifact, path, threads=threads)
    if isinstance(runner, str):
        emulator = target.emulator(artifact, path)
        if emulator is None:
            raise ArtifactError(f"{path}: cannot run here: {runner}", "run it on its device")
        runner = emulator
    alone = by_itself(runner, artifact)
    steered = cast(TakesGates, runner) if alone is not runner else None
    return Opened(path, alone, artifact=artifact, steered=steered)


def by_itself(runner: Runner, artifact: Artifact) -> Runner:
    """An artifact's runner as one that decides every route by its routers, whether or not it takes gates."""
    gates = next((tensor for tensor in artifact.interface.inputs if tensor.name == GATES), None)
    if gates is None:
        return runner
    nobodys = np.zeros([side for side in gates.shape[1:] if isinstance(side, int)], np.float32)
    return Steered(cast(TakesGates, runner), nobodys, runner.size)
