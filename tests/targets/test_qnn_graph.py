"""Reading what Qualcomm's compiler was given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moceir_edge.errors import ArtifactError
from moceir_edge.targets.qnn_graph import formats, integer_convolutions, integer_share, read_graph

FLOAT, WIDE, NARROW, WEIGHT = 0x0232, 0x0416, 0x0408, 0x0308


def node(kind: str, inputs: list[str], output: str) -> dict[str, object]:
    """As the provider writes it, without what is not read."""
    return {"type": kind, "input_names": inputs, "output_names": [output], "package": "qti.aisw"}


GRAPH = {
    "tensors": {
        name: {"data_type": code}
        for name, code in {"x": FLOAT, "q": WIDE, "n": NARROW, "w": WEIGHT, "y": WIDE, "z": FLOAT, "v": NARROW}.items()
    },
    "nodes": {
        "first_token_7": node("Conv2d", ["q", "w", "x"], "y"),
        "second": node("DepthWiseConv2d", ["n", "w"], "v"),
        "half_token_9": node("Conv2d", ["q", "w"], "z"),
        "plain_token_2": node("Conv2d", ["x", "x"], "z"),
        "sum": node("ElementWiseAdd", ["x", "x"], "z"),
    },
}


def test_a_convolution_is_integer_where_all_of_it_is() -> None:
    """One that gives a float from integers is none; the name is the program's."""
    assert integer_convolutions(GRAPH) == {"first", "second"}
    assert integer_share(GRAPH, {"first": 6, "second": 1, "half": 2, "plain": 1}) == 0.7


def test_formats_are_counted_by_kind() -> None:
    """Bits are said as people count them."""
    assert formats(GRAPH) == {
        "Conv2d": {"16-bit integers": 1, "floats": 2},
        "DepthWiseConv2d": {"8-bit integers": 1},
        "ElementWiseAdd": {"floats": 1},
    }


def test_there_has_to_be_one_graph(tmp_path: Path) -> None:
    """Several would mean that something between them went elsewhere."""
    with pytest.raises(ArtifactError, match="took 0 graphs"):
        read_graph(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps({"graph": GRAPH}), encoding="utf-8")
    (tmp_path / "a_tensor_log.json").write_text("{}", encoding="utf-8")
    assert read_graph(tmp_path) == GRAPH
    (tmp_path / "b.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match="took 2 graphs"):
        read_graph(tmp_path)
