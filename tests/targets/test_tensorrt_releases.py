"""Which release of JetPack reads what."""

from __future__ import annotations

import pytest
import torch

from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.resources import resource
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.tensorrt_graph import operator_counts
from moceir_edge.targets.tensorrt_releases import RELEASES, lacking, needs, reading, releases_table


@pytest.mark.parametrize(
    ("opset", "native", "first"),
    [(17, False, "5.1"), (17, True, "6.0"), (20, False, "6.1, 6.2"), (21, False, "7.0, 7.1")],
)
def test_oldest_release_that_reads_a_graph(opset: int, native: bool, first: str) -> None:
    """Steps in opset 17 are for all; LayerNormalization came with 8.6, opset 20 and Gelu with 10."""
    torch.manual_seed(0)
    network = MoceIR(build_architecture(8, (1,), 1, (1,), refinement_blocks=1, heads=(1, 2), experts=1)).eval()
    model = onnx_model(lower(network), size=None, opset=opset, native_norms=native)
    assert next(row.jetpack for row in reading(opset, operator_counts(model))) == first


def test_reasons_are_given() -> None:
    """What an older release lacks, in words that the build script can say."""
    oldest = RELEASES[0]
    assert lacking(oldest, 20, {"Conv": 1}) == "it reads ONNX up to opset 17, not 20"
    assert lacking(oldest, 17, {"LayerNormalization": 1}) == "its parser has no LayerNormalization"
    assert needs(17, {"Conv": 3, "LayerNormalization": 1}) == ("ONNX opset 17", "the operator LayerNormalization")


def test_strong_typing_and_fp8_came_with_tensorrt_9() -> None:
    """So JetPack 5 and 6.0 have neither."""
    assert [row.jetpack for row in RELEASES if not row.strongly_typed] == ["5.1", "6.0"]
    assert all(row.fp8 is row.strongly_typed for row in RELEASES)


def test_the_devices_guide_shows_this_table() -> None:
    """devices/jetson/README.md is written from the data."""
    assert releases_table() in (resource("devices") / "jetson" / "README.md").read_text(encoding="utf-8")
