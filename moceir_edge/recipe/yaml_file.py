"""Strict YAML: doubled keys are refused, and every value knows its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from moceir_edge.errors import RecipeError
from moceir_edge.records import Record

R = TypeVar("R", bound=Record)
Place = tuple[str | int, ...]
"""The way to a value: keys and positions from the top."""


@dataclass(frozen=True)
class YamlFile:
    """What a file says, in which line (from 1) each of its values stands, and what is wrong with its keys."""

    path: Path
    value: Any
    lines: Mapping[Place, int]
    problems: tuple[str, ...] = ()

    def problem(self, place: Place, message: str) -> str:
        """`message` with its place, as in "export/jetson.yaml:7: quantize.bits: 5 is not one of 8, 16"."""
        known = next((place[:end] for end in range(len(place), -1, -1) if place[:end] in self.lines), ())
        dotted = ".".join(str(part) for part in place)
        return f"{self.path}:{self.lines.get(known, 1)}: {dotted}: {message}" if dotted else f"{self.path}: {message}"


def load_yaml(path: Path) -> Any:
    """The plain value of a YAML file; RecipeError with the line where it is not strict YAML."""
    file = read_yaml(path)
    if file.problems:
        raise RecipeError("; ".join(file.problems), "write every key once, as plain text")
    return file.value


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file with its line numbers; RecipeError where it is no YAML. `problems` names all doubled keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text", "give a YAML file") from error
    try:
        _refuse_anchors(path, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise RecipeError(f"{path}: is empty", "start from one of the bundled files")
        problems = tuple(f"{path}:{line}: {message}" for line, message in _key_problems(root))
        return YamlFile(path, yaml.safe_load(text), dict(_lines(root, ())), problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else 1
        raise RecipeError(f"{path}:{line}: not YAML: {error.problem}", "correct that line") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not YAML: {' '.join(str(error).split())}", "give a YAML file") from error


def validated(file: YamlFile, kind: type[R], more: Callable[[Any], Iterable[tuple[Place, str]]] = lambda _: ()) -> R:
    """The value of `file` as a record; RecipeError lists all problems at once, each with its place.

    more: place and message of what a field alone cannot say, from the plain value; `kind` refuses it, too.
    """
    found = [*file.problems, *(file.problem(place, message) for place, message in more(file.value))]
    try:
        value = kind.model_validate(file.value)
    except ValidationError as error:
        known = {"value_error"} if found else set()
        details = [detail for detail in error.errors() if detail["loc"] or detail["type"] not in known]
        found = [*problems_from_validation(file, details), *found]
    else:
        if not found:
            return value
    raise RecipeError("; ".join(found), "correct the file")


def problems_from_validation(file: YamlFile, details: Iterable[ErrorDetails]) -> Iterator[str]:
    """Every problem that pydantic found in the value of `file`, each with its place; keys have been looked at."""
    for detail in details:
        if detail["type"] != "invalid_key":
            yield file.problem(detail["loc"], _plain_message(detail["type"], detail["msg"]))


def _plain_message(kind: str, message: str) -> str:
    known = {"extra_forbidden": "no such key", "missing": "is missing"}
    return known.get(kind, message.removeprefix("Value error, "))


def _refuse_anchors(path: Path, text: str) -> None:
    """An alias makes one value appear at two places, and some files of aliases never end."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            mark = event.start_mark
            line = mark.line + 1 if mark is not None else 1
            raise RecipeError(f"{path}:{line}: anchors and aliases are not read", "write the value out")


def _key_problems(node: Node) -> Iterator[tuple[int, str]]:
    """Line and message of every doubled key and every key that is not text."""
    if isinstance(node, SequenceNode):
        for child in node.value:
            yield from _key_problems(child)
    if not isinstance(node, MappingNode):
        return
    first_lines: dict[str, int] = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            yield line, "a key is not text"
        elif key.value in first_lines:
            yield line, f"key '{key.value}' is doubled (first in line {first_lines[key.value]})"
        else:
            first_lines[key.value] = line
        yield from _key_problems(child)


def _lines(node: Node, place: Place) -> Iterator[tuple[Place, int]]:
    """The line of every value; that of a mapping's entry is the line of its key."""
    yield place, node.start_mark.line + 1
    if isinstance(node, SequenceNode):
        for index, child in enumerate(node.value):
            yield from _lines(child, (*place, index))
    elif isinstance(node, MappingNode):
        for key, child in node.value:
            inner = (*place, key.value)
            yield from _lines(child, inner)
            yield inner, key.start_mark.line + 1
