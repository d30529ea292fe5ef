"""Which experts are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.benchmarking.experts import experts_from_text, keep_experts
from moceir_edge.benchmarking.subject import open_subject
from moceir_edge.errors import CheckpointError, InputError, PlanError
from moceir_edge.network.architecture import SIZES
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.network.golden import golden_network


@pytest.mark.parametrize(("text", "expected"), [("0", (0, 0, 0)), ("3,1,2", (3, 1, 2)), ("1, 2, 3", (1, 2, 3))])
def test_indices_are_by_level(text: str, expected: tuple[int, ...]) -> None:
    """One index serves all levels."""
    assert experts_from_text(text, SIZES["tiny"]) == expected


@pytest.mark.parametrize("text", ["", "x", "-1", "0,1", "0,1,2,3", "4", "²"])
def test_impossible_indices_are_refused(text: str) -> None:
    """What is given and what is allowed."""
    with pytest.raises(InputError, match="expert") as refused:
        experts_from_text(text, SIZES["tiny"])
    assert "give" in refused.value.remedy


def test_kept_model_has_its_experts_and_routers() -> None:
    """One expert a layer, weights unchanged, the gate exact."""
    model = LoadedModel(golden_network("tiny"), "")
    kept = keep_experts(model, (0, 1, 3))
    indices = [(name.split(".")[1], block.kept, block.served) for name, block in kept.architecture.routed()]
    assert indices == [("0", (0,), (0,)), ("0", (0,), (0,)), ("1", (1,), (1,)), ("1", (1,), (1,)), ("2", (3,), (3,))]
    assert kept.architecture.guarded
    state = model.network.state_dict()
    assert all(value.equal(state[name]) for name, value in kept.network.state_dict().items())


def test_golden_names(tmp_path: Path) -> None:
    """A size is a model; another word is refused with the sizes there are."""
    assert open_subject("golden:tiny", experts="3", routing=None, tasks=()).experts == (3, 3, 3)
    with pytest.raises(CheckpointError, match="no size is called 'large'") as refused:
        open_subject("golden:large", experts=None, routing=None, tasks=())
    assert "tiny" in refused.value.remedy


def test_slim_model_has_chosen_already(tmp_path: Path) -> None:
    """It is measured as it is, and takes no other choice."""
    kept = keep_experts(LoadedModel(golden_network("tiny"), ""), (0, 1, 3))
    save(kept, tmp_path / "slim.safetensors")
    name = str(tmp_path / "slim.safetensors")
    assert open_subject(name, experts=None, routing=None, tasks=()).kept.sha256 == kept.sha256
    with pytest.raises(PlanError, match="slim already"):
        open_subject(name, experts="0", routing=None, tasks=())
