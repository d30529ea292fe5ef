"""The stage: from a training file to a run in a folder."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from moceir_edge.errors import MissingBackendError
from moceir_edge.resources import find_resource
from moceir_edge.terms import Progress, silent
from moceir_edge.training.recipe import read_training
from moceir_edge.training.result import Trained

REPAIR = "pip install 'moceir-edge[train]'"


def train(
    config: str | Path,
    out: Path,
    *,
    data: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Trained:
    """Train a network in the folder `out`, from scratch or from weights, or go on where it holds this run already.

    config: a training file, or the name of a bundled one. data: what its folders are relative to; without it, where the
    file lies. Errors: RecipeError, CheckpointError, DataError, InputError, OutputError, MissingBackendError.
    """
    path = find_resource("training", str(config))
    recipe = read_training(path)
    require_training()
    from moceir_edge.training.run import run_training

    return run_training(recipe, data or path.parent, out, say=say, progress=progress)


def require_training() -> None:
    """MissingBackendError where what trains is not installed."""
    missing = [name for name in ("lightning", "tensorboard") if find_spec(name) is None]
    if missing:
        raise MissingBackendError(f"{' and '.join(missing)} not installed", REPAIR)
