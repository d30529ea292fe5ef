"""What Qualcomm's compiler was given, from the graph that its provider saves: operations and their formats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moceir_edge.errors import ArtifactError
from moceir_edge.targets.onnx_runtime import name_in_file

_FIXED_POINT = (0x03, 0x04)
"""High bytes of QNN's fixed-point types, signed and unsigned; the low byte says the bits in hexadecimal digits
(QNN_DATATYPE_UFIXED_POINT_16 is 0x0416), as for floats (0x0232 is computed in float16 where the option says so)."""

_FLOAT = 0x02
"""High byte of QNN's floats; what is neither is indices and truth values."""

_CONVOLUTIONS = ("Conv2d", "DepthWiseConv2d")


def read_graph(folder: Path) -> Mapping[str, Any]:
    """The one graph saved in a folder; ArtifactError where there are several: nothing was left to another provider."""
    found = [path for path in sorted(folder.glob("*.json")) if not path.name.endswith("_tensor_log.json")]
    if len(found) != 1:
        raise ArtifactError(f"Qualcomm's provider took {len(found)} graphs instead of one", "export it again")
    graph: Mapping[str, Any] = json.loads(found[0].read_bytes())["graph"]
    return graph


def formats(graph: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """How many operations of each kind give 8- or 16-bit integers, or floats."""
    counts: dict[str, Counter[str]] = {}
    for node in graph["nodes"].values():
        kinds = counts.setdefault(node["type"], Counter())
        kinds[_format(_type(graph, node["output_names"][0]))] += 1
    return {kind: dict(sorted(found.items())) for kind, found in sorted(counts.items())}


def integer_convolutions(graph: Mapping[str, Any]) -> frozenset[str]:
    """Names of the convolutions whose input, weights and result are all integers."""
    return frozenset(
        name_in_file(name)
        for name, node in graph["nodes"].items()
        if node["type"] in _CONVOLUTIONS
        and all(_is_integer(_type(graph, value)) for value in (*node["input_names"][:2], *node["output_names"]))
    )


def integer_share(graph: Mapping[str, Any], macs: Mapping[str, int]) -> float:
    """Share of MACs in integers; macs: by operation of the program."""
    integer = integer_convolutions(graph)
    return sum(count for name, count in macs.items() if name in integer) / sum(macs.values())


def _type(graph: Mapping[str, Any], value: str) -> int:
    return int(graph["tensors"][value]["data_type"])


def _is_integer(code: int) -> bool:
    return code >> 8 in _FIXED_POINT


def _format(code: int) -> str:
    if _is_integer(code):
        return f"{code & 0xFF:x}-bit integers"
    return "floats" if code >> 8 == _FLOAT else "others"
