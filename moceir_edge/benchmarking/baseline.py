"""The fingerprint of the straightforward graph, and whether it is still the one that gains were measured against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moceir_edge.records import Record, sha256_of_value

STORED = Path(__file__).with_name("baseline.json")
"""Fingerprints by name, and the PyTorch that exported them."""

SMALL = 16
"""Constants of up to so many integers are shapes and axes, so their values belong to the structure."""


class Baseline(Record):
    """A graph's fingerprint beside the stored one; stored: None where this model, size and choice have none."""

    name: str
    sha256: str
    torch: str
    stored: str | None
    stored_torch: str

    @property
    def text(self) -> str:
        """For people."""
        if self.stored is None:
            return f"no fingerprint is stored for {self.name}"
        if self.stored == self.sha256:
            return f"the straightforward graph is the stored one ({self.name})"
        return (
            f"the straightforward graph of {self.name} is not the stored one: exported by PyTorch {self.torch}, "
            f"stored by {self.stored_torch}; ratios against it are not comparable with earlier ones"
        )

    @property
    def drifted(self) -> bool:
        """Whether it differs from the stored one."""
        return self.stored is not None and self.stored != self.sha256


def baseline_name(size_name: str, size: tuple[int, int], experts: Sequence[int] | None) -> str:
    """How a graph is called: "S 256x256 experts 0,0,0"; experts: by decoder level, None for a slim model's own."""
    chosen = "its own" if experts is None else ",".join(map(str, experts))
    return f"{size_name} {size[1]}x{size[0]} experts {chosen}"


def check_baseline(graph: Path, name: str) -> Baseline:
    """Compare an exported graph with the stored fingerprint of its name."""
    import torch

    stored = json.loads(STORED.read_text(encoding="utf-8"))
    return Baseline(
        name=name,
        sha256=fingerprint(graph),
        torch=torch.__version__.partition("+")[0],
        stored=stored["graphs"].get(name),
        stored_torch=stored["torch"],
    )


def fingerprint(path: Path) -> str:
    """Hash of nodes, attributes, wiring and shapes; names of values and trained numbers do not enter."""
    import onnx

    graph = onnx.load(path).graph
    numbers: dict[str, int] = {}

    def number(name: str) -> int:
        return numbers.setdefault(name, len(numbers)) if name else -1

    given = [[number(value.name), _dimensions(value)] for value in graph.input]
    constants = {tensor.name: _constant(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        read = [constants[name] if name in constants else number(name) for name in node.input]
        written = [number(name) for name in node.output]
        nodes.append([node.domain, node.op_type, read, written, _attributes(node)])
    results = [[number(value.name), _dimensions(value)] for value in graph.output]
    return sha256_of_value([given, nodes, results])


def _dimensions(value: Any) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _constant(tensor: Any) -> list[Any]:
    from onnx import TensorProto, numpy_helper

    integer = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
    array = numpy_helper.to_array(tensor) if integer else None
    values = array.reshape(-1).tolist() if array is not None and array.size <= SMALL else None
    return [tensor.data_type, list(tensor.dims), values]


def _attributes(node: Any) -> list[list[Any]]:
    from onnx import helper

    found = []
    for attribute in sorted(node.attribute, key=lambda attribute: attribute.name):
        value = helper.get_attribute_value(attribute)
        found.append([attribute.name, _constant(value) if hasattr(value, "dims") else _plain(value)])
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
