"""Inside a file in ORT format: its version, its nodes, and its one table whose order is chance.

The file is a flatbuffer, which is written from its end: the model first, then a table of the types that each operator
takes, in the order of a hash that is another one in every run. Written again in alphabetical order, before the same
model, two exports are the same bytes.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moceir_edge.errors import ArtifactError
from moceir_edge.targets.onnx_runtime import name_in_file, onnxruntime_tool

_IDENTIFIER = b"ORTM"


def format_version(path: Path) -> int:
    """Version of the ORT format that a file is in; ArtifactError where it is in none, or cut off before it says so."""
    with _cut_off_told(path):
        return int(_root(path.read_bytes()).OrtVersion())


def kinds_of(path: Path) -> dict[str, str]:
    """Kind of every node by the name that it had in the ONNX file, where it has one; ArtifactError as above."""
    with _cut_off_told(path):
        graph = _root(path.read_bytes()).Model().Graph()
        nodes = _items(graph.Nodes, graph.NodesLength())
        return {name_in_file(node.Name().decode()): node.OpType().decode() for node in nodes}


def put_in_order(path: Path) -> None:
    """Write the file again with its table of types in alphabetical order."""
    import flatbuffers

    data = path.read_bytes()
    session = _root(data)
    model = session.Model()._tab  # noqa: SLF001 (the position of a table is nowhere else)
    start = min(model.Pos, model.Pos - model.Get(flatbuffers.number_types.SOffsetTFlags, model.Pos))
    builder = flatbuffers.Builder(len(data) + 2**16)
    builder.minalign = 16  # as much as any table may want; the rest stands as far from the end as it stood
    builder.head = builder.head - (len(data) - start)
    builder.Bytes[builder.head :] = data[start:]
    table = _types(builder, session.KernelTypeStrResolver())
    version = builder.CreateString(session.OrtVersion())
    made = _schema("InferenceSession")
    made.Start(builder)
    made.AddOrtVersion(builder, version)
    made.AddModel(builder, len(data) - model.Pos)
    made.AddKernelTypeStrResolver(builder, table)
    builder.Finish(made.End(builder), file_identifier=_IDENTIFIER)
    path.write_bytes(builder.Output())


def _types(builder: Any, resolver: Any) -> int:
    """Operators, of each the names of its types, of each what they stand for."""
    operators = sorted(
        _items(resolver.OpKernelTypeStrArgs, resolver.OpKernelTypeStrArgsLength()), key=lambda x: x.OpId()
    )
    schema = _schema("OpIdKernelTypeStrArgsEntry")
    entries = []
    for operator in operators:
        names = _items(operator.KernelTypeStrArgs, operator.KernelTypeStrArgsLength())
        listed = [_named(builder, name) for name in sorted(names, key=lambda x: x.KernelTypeStr())]
        vector, text = _vector(builder, listed), builder.CreateString(operator.OpId())
        schema.Start(builder)
        schema.AddOpId(builder, text)
        schema.AddKernelTypeStrArgs(builder, vector)
        entries.append(schema.End(builder))
    whole, vector = _schema("KernelTypeStrResolver"), _vector(builder, entries)
    whole.Start(builder)
    whole.AddOpKernelTypeStrArgs(builder, vector)
    return int(whole.End(builder))


def _named(builder: Any, name: Any) -> int:
    schema, argument = _schema("KernelTypeStrArgsEntry"), _schema("ArgTypeAndIndex")
    places = []
    for given in _items(name.Args, name.ArgsLength()):
        argument.Start(builder)
        argument.AddArgType(builder, given.ArgType())
        argument.AddIndex(builder, given.Index())
        places.append(argument.End(builder))
    vector, text = _vector(builder, places), builder.CreateString(name.KernelTypeStr())
    schema.Start(builder)
    schema.AddKernelTypeStr(builder, text)
    schema.AddArgs(builder, vector)
    return int(schema.End(builder))


def _vector(builder: Any, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())


def _items(item: Callable[[int], Any], count: int) -> Iterator[Any]:
    return (item(index) for index in range(count))


@contextmanager
def _cut_off_told(path: Path) -> Iterator[None]:
    """What flatbuffers says where an offset leads out of the file."""
    try:
        yield
    except struct.error as error:
        raise ArtifactError(f"{path}: the model is cut off", "export it again") from error


def _root(data: bytes) -> Any:
    if data[4:8] != _IDENTIFIER:
        raise ArtifactError("the model is not in ORT format", "export it again")
    return _schema("InferenceSession").InferenceSession.GetRootAs(bytearray(data), 0)


def _schema(table: str) -> Any:
    """ONNX Runtime's module for a kind of table; loading its tools makes them known."""
    onnxruntime_tool("ort_format_model")
    return importlib.import_module(f"ort_flatbuffers_py.fbs.{table}")
