"""Opening what a user names: a MODEL file or an ARTIFACT folder, as something that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moceir_edge.artifacts import Artifact, artifact_sha256, read_artifact
from moceir_edge.errors import ArtifactError
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.runner import NetworkRunner, Runner
from moceir_edge.targets.target import target_of


@dataclass(frozen=True)
class Opened:
    """What was named: exactly one of `model` and `artifact`; tasks: those it was made for, empty for a full model."""

    path: Path
    runner: Runner
    model: LoadedModel | None = None
    artifact: Artifact | None = None

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
        model = load(path)
        return Opened(path, NetworkRunner(model.network), model=model)
    artifact = read_artifact(path)
    if len(artifact.interface.inputs) > 1:
        raise ArtifactError(f"{path}: takes its gates from the caller", "give an artifact without gates_input")
    target = target_of(artifact.target)
    runner = target.runner(artifact, path, threads=threads)
    if isinstance(runner, str):
        emulator = target.emulator(artifact, path)
        if emulator is None:
            raise ArtifactError(f"{path}: cannot run here: {runner}", "run it on its device")
        runner = emulator
    return Opened(path, runner, artifact=artifact)
