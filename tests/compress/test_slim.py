"""Slim models against the full one, with experts that matter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from moceir_edge.compress.costs import SlimCosts, guard_cost, refuse_costly, slim_costs
from moceir_edge.compress.prune import PruningPlan, apply_pruning, plan_pruning
from moceir_edge.errors import GateError, PlanError
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.network.network import KEEP, SHORTCUT, MoceIR
from moceir_edge.routing.evidence import Evidence
from moceir_edge.routing.observe import Observation, Observed
from moceir_edge.routing.relevance import Change, LayerRelevance, Relevance
from moceir_edge.routing.routing import Routing
from moceir_edge.terms import GateMode, Task
from tests.golden import drawn_pictures, golden_network

TOLERANCE = 2e-5
Options = dict[str, object]


def routing_on(model: LoadedModel, pictures: Tensor, *, unneeded: tuple[int, ...] = ()) -> Routing:
    """The routing of a batch of derain pictures; positions of layers that are said to need no expert."""
    with torch.inference_mode():
        result = model.network(pictures)
    layers = model.architecture.layers
    observed = tuple(
        Observed(
            name=str(index),
            task=Task.DERAIN,
            set_name="derain",
            digest="00",
            routes=tuple(result.routes[index].tolist()),
            gates=tuple(result.scores[index].max(-1).values.tolist()),
            margins=(0.0,) * len(layers),
            scores=tuple(map(tuple, result.scores[index].tolist())),
        )
        for index in range(len(pictures))
    )
    idle = Change(replacement=None, n=1, mean_db=0.0, worst_db=0.0, parity_db=90.0)
    rows = tuple(LayerRelevance(task=Task.DERAIN, layer=layers[index], changes=(idle,)) for index in unneeded)
    return Routing(
        model_sha256=model.sha256,
        choosing_sha256="",
        judging_sha256="",
        choosing=Observation(layers=layers, experts=4, pictures=observed),
        judging=Observation(layers=layers, experts=4, pictures=()),
        evidence=Evidence(uses=(), agreements=()),
        versions={},
        relevance=Relevance(crop=256, per_task=1, pictures=(), layers=rows),
    )


def planned(model: LoadedModel, pictures: Tensor, *, unneeded: tuple[int, ...] = (), **options: object) -> PruningPlan:
    """A plan that covers all of the pictures unless told otherwise."""
    routing = routing_on(model, pictures, unneeded=unneeded)
    return plan_pruning(routing, model.architecture, **{"tasks": [Task.DERAIN], "coverage": 1.0, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiny(golden_tiny: MoceIR) -> LoadedModel:
    """The small golden model."""
    return LoadedModel(golden_tiny, "golden")


def restored(model: LoadedModel, pictures: Tensor, *, forced: Tensor | None = None) -> Tensor:
    """The restored pictures."""
    with torch.inference_mode():
        image: Tensor = model.network(pictures, forced=forced).image
    return image


@pytest.mark.parametrize("size", ["tiny", "S"])
def test_slim_equals_full_where_its_routes_are_kept(request: pytest.FixtureRequest, size: str) -> None:
    """Within 2e-5 on every picture whose choices stay, in a batch and one by one; visibly different on others."""
    full = LoadedModel(request.getfixturevalue("golden_tiny" if size == "tiny" else "golden_s"), "golden")
    pictures = drawn_pictures(6)
    inside, outside = pictures[2:], pictures[:1]
    plan = planned(full, inside)
    slim = apply_pruning(full, plan)
    assert slim.parameters < full.parameters
    assert float((restored(slim, inside) - restored(full, inside)).abs().max()) <= TOLERANCE
    alone = torch.cat([restored(slim, picture[None]) for picture in inside])
    assert float((alone - restored(full, inside)).abs().max()) <= TOLERANCE
    routes = full.network(outside).routes[0].tolist()
    assert any(route not in served for route, served in zip(routes, plan.served, strict=True))
    assert float((restored(slim, outside) - restored(full, outside)).abs().max()) > 1e-3


def test_several_kept_experts_serve_a_batch(golden_s: MoceIR) -> None:
    """Pictures that take different kept experts do not mix."""
    full = LoadedModel(golden_s, "golden")
    pictures = drawn_pictures(6)
    plan = planned(full, pictures)
    assert any(len(layer.kept) > 1 for layer in plan.layers)
    slim = apply_pruning(full, plan)
    with torch.inference_mode():
        result = slim.network(pictures)
    assert len(set(map(tuple, result.routes.tolist()))) > 1
    assert torch.equal(result.routes, full.network(pictures).routes)
    assert float((result.image - restored(full, pictures)).abs().max()) <= TOLERANCE


def test_routes_and_scores_keep_original_indices(tiny: LoadedModel) -> None:
    """A slim layer names its expert as the full model does, and its scores are those of all four."""
    picture = drawn_pictures(1)
    slim = apply_pruning(tiny, planned(tiny, picture))
    with torch.inference_mode():
        mine, full = slim.network(picture), tiny.network(picture)
    assert torch.equal(mine.routes, full.routes)
    assert torch.equal(mine.scores, full.scores)
    assert float(mine.scores.sum(-1).min()) == pytest.approx(1.0)


def test_a_layer_without_experts_is_its_shortcut(tiny: LoadedModel) -> None:
    """The same as the full model with the shortcut forced in those layers, the gate being its own."""
    pictures = drawn_pictures(6)
    plan = planned(tiny, pictures, unneeded=(0, 3))
    assert [layer.kept == () for layer in plan.layers] == [True, False, False, True, False]
    forced = torch.tensor([[SHORTCUT, KEEP, KEEP, SHORTCUT, KEEP]] * 6)
    slim = apply_pruning(tiny, plan)
    assert float((restored(slim, pictures) - restored(tiny, pictures, forced=forced)).abs().max()) <= TOLERANCE
    assert float((restored(slim, pictures) - restored(tiny, pictures)).abs().max()) > 1e-3


def test_a_folded_gate_is_exact_for_one_picture(tiny: LoadedModel) -> None:
    """The mean gate of one picture is its gate; without guard neither routers nor frequency embedding are left."""
    picture, other = drawn_pictures(6)[:1], drawn_pictures(6)[5:]
    slim = apply_pruning(tiny, planned(tiny, picture, gate=GateMode.FOLDED, guard=False, unneeded=(1,)))
    assert float((restored(slim, picture) - restored(tiny, picture)).abs().max()) > 0
    exact = restored(tiny, picture, forced=torch.tensor([[KEEP, SHORTCUT, KEEP, KEEP, KEEP]]))
    assert float((restored(slim, picture) - exact).abs().max()) <= TOLERANCE
    assert float((restored(slim, other) - restored(tiny, other)).abs().max()) > 1e-3
    assert not any("routing" in name or "freq_embed" in name for name in slim.network.state_dict())
    assert slim.network(picture).routes.shape == (1, 0)
    assert guard_cost(slim) is None


def test_a_folded_gate_may_keep_its_guard(tiny: LoadedModel) -> None:
    """The picture is the same with and without guard; with it there are scores."""
    picture = drawn_pictures(1)
    with_guard = apply_pruning(tiny, planned(tiny, picture, gate=GateMode.FOLDED))
    without = apply_pruning(tiny, planned(tiny, picture, gate=GateMode.FOLDED, guard=False))
    assert torch.equal(restored(with_guard, picture), restored(without, picture))
    with torch.inference_mode():
        assert with_guard.network(picture).scores.shape == (1, 5, 4)
    cost = guard_cost(with_guard)
    assert cost is not None
    assert not cost.needed
    assert cost.parameters == with_guard.parameters - without.parameters


@pytest.mark.parametrize(
    ("options", "unneeded"),
    [
        ({}, ()),
        ({"max_experts": 1}, (0, 1, 2, 3, 4)),
        ({"max_experts": 1, "gate": GateMode.FOLDED, "guard": False}, (2,)),
    ],
)
def test_a_slim_model_survives_its_file(
    tiny: LoadedModel, tmp_path: Path, options: Options, unneeded: tuple[int, ...]
) -> None:
    """Written and read, it is the same model and still knows its tasks, its plan and its routing."""
    pictures = drawn_pictures(4)
    plan = planned(tiny, pictures, unneeded=unneeded, **options)
    slim = apply_pruning(tiny, plan)
    save(slim, tmp_path / "slim.safetensors")
    again = load(tmp_path / "slim.safetensors")
    assert again.architecture == slim.architecture
    assert again.sha256 == slim.sha256 != tiny.sha256
    assert torch.equal(restored(again, pictures), restored(slim, pictures))
    assert again.provenance["tasks"] == ["derain"]
    assert again.provenance["routing_sha256"] == plan.routing_sha256
    assert PruningPlan.model_validate(again.provenance["pruning"]) == plan


def test_the_full_model_is_left_alone(tiny: LoadedModel) -> None:
    """Folding multiplies copies."""
    before = tiny.sha256
    apply_pruning(tiny, planned(tiny, drawn_pictures(1), gate=GateMode.FOLDED))
    assert tiny.sha256 == before


def test_a_plan_for_another_model_is_refused(tiny: LoadedModel) -> None:
    """Routing observed on other weights says nothing about these."""
    plan = planned(tiny, drawn_pictures(1))
    with pytest.raises(PlanError, match="other: the routing was observed on another model"):
        apply_pruning(LoadedModel(golden_network("tiny"), "other"), plan)


def test_a_slim_model_is_not_slimmed_again(tiny: LoadedModel) -> None:
    """The plan would not know what is gone."""
    slim = apply_pruning(tiny, planned(tiny, drawn_pictures(1)))
    with pytest.raises(PlanError, match="slim already"):
        planned(slim, drawn_pictures(1))


def test_the_guard_of_s_is_small(golden_s: MoceIR) -> None:
    """2.4 % of the parameters (2.3 % the frequency embedding) and next to no work; an exact gate needs it anyway."""
    cost = guard_cost(LoadedModel(golden_s, "golden"))
    assert cost is not None
    assert cost.share_of_parameters == pytest.approx(278_784 / 11_477_752)
    assert cost.share_of_macs < 1e-3
    assert cost.needed


def test_costs_of_s(golden_s: MoceIR) -> None:
    """One expert a layer costs 42.5 G to 51.0 G MACs at 256x256, windows included; all of them cost more."""
    full = LoadedModel(golden_s, "golden")
    slim = apply_pruning(full, planned(full, drawn_pictures(1)))
    costs = slim_costs(full, slim)
    assert [count / 1e9 for count in costs.dynamic_macs] == pytest.approx([42.472, 50.996], abs=0.001)
    assert costs.dynamic_macs[0] <= costs.macs <= costs.dynamic_macs[1] < costs.full_macs
    assert costs.parameters == slim.parameters < costs.full_parameters == 11_477_752
    refuse_costly(costs)


def test_a_slim_model_must_cost_less() -> None:
    """As many MACs as the static export of the full model is a failed gate."""
    costs = SlimCosts(
        parameters=1, full_parameters=2, macs=10**9, full_macs=10**9, dynamic_macs=(1, 2), size=(256, 256)
    )
    with pytest.raises(GateError, match=r"costs 1\.000 G MACs, the static export of the full one 1\.000 G"):
        refuse_costly(costs)
