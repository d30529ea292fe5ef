"""Reading recipes: strict YAML to frozen values, all problems at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from moceir_edge.errors import RecipeError
from moceir_edge.recipe.contradictions import contradictions
from moceir_edge.recipe.schema import Recipe
from moceir_edge.recipe.yaml_file import Place, read_yaml, validated


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; RecipeError lists every problem with its line."""
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe", "name a file, or a bundled recipe such as desktop")
    return validated(read_yaml(path), Recipe, _problems)


def _problems(said: Any) -> Iterator[tuple[Place, str]]:
    if not isinstance(said, Mapping):
        return
    yield from contradictions(said)
    limits = said.get("limits")
    for name, limit in limits.items() if isinstance(limits, Mapping) else ():
        if isinstance(limit, Mapping) and not limit.get("reason"):
            yield ("limits", name), "a moved limit needs a reason, which the report shows"
