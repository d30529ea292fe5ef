"""The artifacts of a frontier: every model with every recipe, as far as this machine runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moceir_edge import processor
from moceir_edge.artifacts import Artifact, artifact_sha256
from moceir_edge.data.dataset import Dataset
from moceir_edge.errors import GateError, MissingBackendError
from moceir_edge.exporting import Search, Source, write_artifact
from moceir_edge.keeping import Within
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record, Skipped, replacing_folder
from moceir_edge.run_folder import RunFolder
from moceir_edge.runner import Runner
from moceir_edge.targets.target import target_of
from moceir_edge.terms import Progress, Task
from moceir_edge.versions import versions

POINTS = "points"
"""The folder of a run in which the artifacts lie."""


class Written(Record):
    """An artifact that was written, or the reason why nothing here runs one."""

    artifact: Artifact | None = None
    reason: str = ""


@dataclass(frozen=True)
class Built:
    """A point that can be measured: a model, a recipe, and the artifact in its folder."""

    name: str
    share: float
    recipe: str
    model: LoadedModel
    artifact: Artifact
    folder: Path

    @property
    def sha256(self) -> str:
        """Of the artifact."""
        return artifact_sha256(self.folder)

    def runner(self, *, threads: int | None) -> Runner:
        """A runner of the artifact on this machine."""
        runner = target_of(self.artifact.target).runner(self.artifact, self.folder, threads=threads)
        assert not isinstance(runner, str)
        return runner


@dataclass(frozen=True)
class Builder:
    """Writes artifacts, in stages of a run; choosing pictures calibrate."""

    tasks: tuple[Task, ...]
    choosing: Dataset
    run: RunFolder
    progress: Progress

    def build(
        self, models: Mapping[float, LoadedModel], recipes: Mapping[str, Recipe]
    ) -> tuple[list[Built], list[Skipped]]:
        """The points, by share and recipe, and those left out."""
        built, skipped = [], []
        for share, model in models.items():
            for recipe_name, recipe in recipes.items():
                name = f"{share:g}-{recipe_name}"
                written = self._written(name, model, recipe)
                if written.artifact is None:
                    skipped.append(Skipped(what=name, reason=written.reason))
                else:
                    folder = self.run.folder / POINTS / name
                    built.append(Built(name, share, recipe_name, model, written.artifact, folder))
        return built, skipped

    def _written(self, name: str, model: LoadedModel, recipe: Recipe) -> Written:
        place = f"{POINTS}/{name}"
        key = {
            "versions": versions(),
            "model": model.sha256,
            "tasks": self.tasks,
            "recipe": recipe.model_dump(mode="json"),
            "choosing": self.choosing.sha256,
            "machine": processor.identity(),
        }

        def action() -> Written:
            search = Search(Within(self.run, name, {}), say=self.run.say)
            try:
                with replacing_folder(self.run.folder / place) as folder:
                    source = source_of(model, self.tasks)
                    artifact = write_artifact(
                        source, recipe, self.choosing, folder, search=search, progress=self.progress
                    )
                    _require_runner(artifact, folder)
            except (GateError, MissingBackendError, _NoRunnerError) as error:
                return Written(reason=str(error))
            return Written(artifact=artifact)

        def outputs(made: Written) -> list[str]:
            return [place] if made.artifact else []

        return self.run.stage(f"export-{name}", key, Written, action, outputs=outputs)


class _NoRunnerError(Exception):
    """Nothing on this machine runs an artifact."""


def _require_runner(artifact: Artifact, folder: Path) -> None:
    runner = target_of(artifact.target).runner(artifact, folder)
    if isinstance(runner, str):
        raise _NoRunnerError(runner)


def source_of(model: LoadedModel, tasks: tuple[Task, ...]) -> Source:
    """What is exported: the point's own model is its reference, as for `export`."""
    full_sha256 = model.provenance.get("pruning", {}).get("model_sha256")
    return Source(model, model, tasks, model.provenance.get("routing_sha256"), full_sha256=full_sha256)
