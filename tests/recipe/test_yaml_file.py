"""Strict YAML: what is doubled or ambiguous is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.errors import RecipeError
from moceir_edge.recipe.yaml_file import load_yaml, read_yaml


def written(folder: Path, text: str) -> Path:
    """A file of this text."""
    path = folder / "a.yaml"
    path.write_text(text)
    return path


def test_plain_yaml_is_read(tmp_path: Path) -> None:
    """Mappings, lists, numbers and text arrive as they are."""
    assert load_yaml(written(tmp_path, "a: 1\nb: [x, 2.5, null]\n")) == {"a": 1, "b": ["x", 2.5, None]}


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    """A place inside lists and mappings has the line of its key; an absent one that of its parent."""
    file = read_yaml(written(tmp_path, "quantize:\n  bits: 5\n  layers:\n    - name: a\n    - name: b\n"))
    assert file.problem(("quantize", "bits"), "5 is not one of 8, 16").endswith(
        "a.yaml:2: quantize.bits: 5 is not one of 8, 16"
    )
    assert ":5: quantize.layers.1.name: x" in file.problem(("quantize", "layers", 1, "name"), "x")
    assert ":1: quantize.mode: is missing" in file.problem(("quantize", "mode"), "is missing")


def test_all_doubled_keys_are_named(tmp_path: Path) -> None:
    """YAML would keep the last of two keys; here both lines of each are named."""
    with pytest.raises(RecipeError) as caught:
        load_yaml(written(tmp_path, "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n"))
    assert ":6: key 'a' is doubled (first in line 1)" in caught.value.what
    assert ":5: key 'c' is doubled (first in line 3)" in caught.value.what


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c\n", r"a\.yaml:1: not YAML"),
        ("x: 1\na: [1, 2\n", r"a\.yaml:3: not YAML"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("a: &x 1\nb: *x\n", r"a\.yaml:1: anchors and aliases"),
        ("1: a\n", r"a\.yaml:1: a key is not text"),
        ("yes: a\n", r"a\.yaml:1: a key is not text"),
        ("a: 1\n---\nb: 2\n", "not YAML"),
        ("a: !!python/object:os.system x\n", r"a\.yaml:1: not YAML"),
        ("a: 2020-99-99\n", "not YAML"),
        ("[" * 500, "not YAML"),
        ("a: \x01\n", "not YAML"),
    ],
)
def test_what_is_not_strict_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Every kind of broken file is one line with the file's name."""
    with pytest.raises(RecipeError, match=message) as caught:
        load_yaml(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text are three errors."""
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        load_yaml(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        load_yaml(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(RecipeError, match="not UTF-8 text"):
        load_yaml(tmp_path / "b.yaml")
