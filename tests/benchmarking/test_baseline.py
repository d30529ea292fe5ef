"""The straightforward graph: the same numbers as the network, and a fingerprint that sees every change but weights."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch

from moceir_edge.benchmarking.baseline import STORED, baseline_name, check_baseline, fingerprint
from moceir_edge.benchmarking.experts import keep_experts
from moceir_edge.benchmarking.straightforward import StaticRestorer, WindowAttention, export_straightforward
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.experts import FrequencyAttention, circular_convolution
from moceir_edge.network.network import MoceIR
from moceir_edge.runner import NetworkRunner
from tests.targets.networks import picture, small_network

SIZE = (32, 32)


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network with expert 0, exported."""
    path = tmp_path_factory.mktemp("straightforward") / "graph.onnx"
    export_straightforward(keep_experts(LoadedModel(small_network(), ""), (0,)).network, SIZE, path)
    return path


@pytest.mark.parametrize("window", [4, 8, 16, 32])
def test_windows_are_the_transform(window: int) -> None:
    """Products with cosines and sines give what the Fourier transform gives, also where windows stick out."""
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 4, 40, 24).unbind()
    found = WindowAttention(FrequencyAttention(4, window)).convolution(q, k)
    torch.testing.assert_close(found, circular_convolution(q, k, window), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("experts", [(0, 0, 0), (3, 1, 2)])
def test_static_network_is_the_kept_one(golden_tiny: MoceIR, experts: tuple[int, ...]) -> None:
    """Picture, agreement and scores are those of the network that has only these experts."""
    kept = keep_experts(LoadedModel(golden_tiny, ""), experts).network
    image = picture(size=(64, 64))
    expected = NetworkRunner(kept).run(image)
    with torch.inference_mode():
        restored, agreement, scores = StaticRestorer(kept)(torch.from_numpy(image)[None])
    assert psnr_db(expected.restored, restored[0].numpy()) > 100
    assert float(agreement) == pytest.approx(expected.agreement)
    assert expected.scores is not None
    torch.testing.assert_close(scores[0], torch.from_numpy(expected.scores))


def test_fingerprint_is_blind_to_weights(graph: Path, tmp_path: Path) -> None:
    """Trained numbers and names of values do not enter it."""
    model = onnx.load(graph)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.raw_data:
            tensor.raw_data = bytes(len(tensor.raw_data))
    for node in model.graph.node:
        node.name = f"other.{node.name}"
    onnx.save(model, tmp_path / "other.onnx")
    assert fingerprint(tmp_path / "other.onnx") == fingerprint(graph)


def test_fingerprint_sees_an_attribute(graph: Path, tmp_path: Path) -> None:
    """Another attribute of one node is another graph."""
    model = onnx.load(graph)
    node = next(node for node in model.graph.node if node.op_type == "Softmax")
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("axis", 1))
    onnx.save(model, tmp_path / "other.onnx")
    assert fingerprint(tmp_path / "other.onnx") != fingerprint(graph)


def test_drift_is_told(graph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stored fingerprint of another graph gives a sentence that says so."""
    stored = tmp_path / "baseline.json"
    stored.write_text(json.dumps({"torch": "0.1", "graphs": {"small": "0" * 64}}))
    monkeypatch.setattr("moceir_edge.benchmarking.baseline.STORED", stored)
    found = check_baseline(graph, "small")
    assert found.drifted
    assert "is not the stored one" in found.text
    assert "stored by 0.1" in found.text
    assert not check_baseline(graph, "unknown").drifted


def test_golden_baselines_are_stored() -> None:
    """The two published sizes and the small one, with expert 0 everywhere, at 256x256."""
    graphs = json.loads(STORED.read_text(encoding="utf-8"))["graphs"]
    for size in ("S", "base", "tiny"):
        assert len(graphs[baseline_name(size, (256, 256), (0, 0, 0))]) == 64
