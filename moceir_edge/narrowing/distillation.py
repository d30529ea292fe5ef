"""Training a narrow model on what the whole one gives, with a training file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.data.dataset import Dataset
from moceir_edge.errors import DataError, InputError
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.records import sha256_of_file, sha256_of_value
from moceir_edge.resources import find_resource
from moceir_edge.terms import Progress, Task, silent
from moceir_edge.training.distil import stages
from moceir_edge.training.recipe import TrainingRecipe, read_training
from moceir_edge.training.result import Trained
from moceir_edge.training.sources import samples_of_all
from moceir_edge.training.start import require_training


@dataclass(frozen=True)
class Distillation:
    """recipe: how; root: what its folders are relative to."""

    recipe: TrainingRecipe
    root: Path

    def refuse_judging(self, judging: Dataset, tasks: Sequence[Task]) -> None:
        """DataError where a picture is trained on and would judge."""
        owners = {digest: sample.name for sample in judging.samples for digest in sample.digests}
        judges = {path for sample in judging.samples for path in (sample.input_path, sample.target_path) if path}
        sizes = {path.stat().st_size for path in judges}
        samples = samples_of_all(self.recipe.data, self.root, tasks=tasks)
        for path in sorted({path for sample in samples for path in (sample.input, sample.target)}):
            name = owners.get(sha256_of_file(path)) if path.stat().st_size in sizes else None
            if name is not None:
                raise DataError(f"{path} is trained on, and {name} judges: they are one file", "take one of them away")

    def key(self, narrow: LoadedModel, teacher: LoadedModel) -> str:
        """Another run for everything that decides another result."""
        said = self.recipe.model_dump(mode="json")
        return sha256_of_value([narrow.sha256, teacher.sha256, said, str(self.root)])

    def train(
        self,
        narrow: LoadedModel,
        *,
        teacher: LoadedModel,
        kept: Mapping[str, Sequence[int]],
        tasks: Sequence[Task],
        folder: Path,
        say: Callable[[str], None] = lambda _: None,
        progress: Progress = silent,
    ) -> Trained:
        """In a folder, where a killed run goes on. kept: the teacher's channels that stay, by space."""
        from moceir_edge.training.run import run_training

        refinement = f"dec.{teacher.architecture.levels - 1}"
        names = {name: refinement if name == "refinement" else name for name in stages(teacher.architecture)}
        return run_training(
            self.recipe,
            self.root,
            folder,
            student=narrow,
            teacher=teacher,
            channels={name: kept[space] for name, space in names.items() if space in kept},
            tasks=tasks,
            say=say,
            progress=progress,
        )


def read_distillation(config: str, data: Path | None) -> Distillation:
    """A training file, or the name of a bundled one; without `data` its folders lie beside it.

    Errors: RecipeError; InputError for one that brings a network of its own; MissingBackendError.
    """
    path = find_resource("training", config)
    recipe = read_training(path)
    if recipe.size is not None or recipe.start is not None:
        raise InputError(f"{path} names a network of its own", "take size and start out of it")
    require_training()
    return Distillation(recipe, (data or path.parent).resolve())
