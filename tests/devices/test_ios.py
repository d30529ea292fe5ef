"""The iOS project: nothing here compiles Swift, so it is parsed, and its vectors and names are compared with Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from moceir_edge.device_result import ProfileResult
from moceir_edge.records import Record
from tests.devices import ios_vectors

IOS = Path(__file__).parents[2] / "devices" / "ios"
SOURCES = sorted(IOS.rglob("*.swift"))


def walked(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in node.children:
        yield from walked(child)


def parsed(path: Path) -> Node:
    """The syntax tree of a Swift file."""
    return Parser(Language(tree_sitter_swift.language())).parse(path.read_bytes()).root_node


def texts(path: Path) -> set[str]:
    """Every plain string of a Swift file."""
    return {
        node.text.decode() for node in walked(parsed(path)) if node.type == "line_str_text" and node.text is not None
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_swift_is_swift(path: Path) -> None:
    """Every file parses without an error."""
    wrong = [node.start_point for node in walked(parsed(path)) if node.type == "ERROR" or node.is_missing]
    assert not wrong, f"{path}: {wrong}"


def test_broken_swift_is_noticed(tmp_path: Path) -> None:
    """The test above can fail."""
    path = tmp_path / "broken.swift"
    path.write_text("func broken( {\n", encoding="utf-8")
    assert any(node.type == "ERROR" or node.is_missing for node in walked(parsed(path)))


def test_vectors_are_what_python_computes() -> None:
    """The app's tests compare with what the package computes now; `python -m tests.devices.ios_vectors` writes it."""
    assert ios_vectors.FILE.read_text(encoding="utf-8") == ios_vectors.text()


def fields(record: type[Record]) -> Iterator[str]:
    """Names that have to be written: those without a default, of records inside records, too."""
    for name, field in record.model_fields.items():
        if field.is_required():
            yield name
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(kind, type) and issubclass(kind, Record):
                    yield from fields(kind)


def test_result_has_every_field_that_must_be_there() -> None:
    """What the app writes names every field of the schema that has no default, and none that the schema lacks."""
    core = IOS / "Core" / "Sources" / "MoceirEdgeCore"
    written = texts(core / "ProfileResult.swift") | texts(core / "Timings.swift")
    assert set(fields(ProfileResult)) <= written


def test_its_version_is_the_packages() -> None:
    """In what it writes into results, whatever the bundle says, and in Xcode's project."""
    ours = version("moceir-edge")
    profiler = (IOS / "Core" / "Sources" / "MoceirEdgeCore" / "Profiler.swift").read_text(encoding="utf-8")
    assert re.findall(r'static let version = "(.*)"', profiler) == [ours]
    assert "runnerVersion: Profiler.version" in profiler
    project = (IOS / "MoceirEdge.xcodeproj" / "project.pbxproj").read_text(encoding="utf-8")
    assert set(re.findall(r"MARKETING_VERSION = (.*);", project)) == {ours}


def test_project_is_whole() -> None:
    """Every object that the Xcode project names is defined, and its folders are there."""
    text = (IOS / "MoceirEdge.xcodeproj" / "project.pbxproj").read_text(encoding="utf-8")
    defined = set(re.findall(r"^\t\t([0-9A-F]{24}) = \{", text, re.MULTILINE))
    assert set(re.findall(r"\b[0-9A-F]{24}\b", text)) == defined
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    for path in re.findall(r"isa = PBXFileSystemSynchronizedRootGroup; path = (\w+);", text):
        assert any((IOS / path).glob("*.swift"))
    for path in re.findall(r"relativePath = (\w+);", text):
        assert (IOS / path / "Package.swift").is_file()
    (product,) = re.findall(r"productName = (\w+Core);", text)
    assert f'.library(name: "{product}"' in (IOS / "Core" / "Package.swift").read_text(encoding="utf-8")
