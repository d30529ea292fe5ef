"""The program against the network, with experts that matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from moceir_edge.metrics import psnr_db
from moceir_edge.network.architecture import DecoderBlockShape
from moceir_edge.network.checkpoint import load
from moceir_edge.network.network import SHORTCUT, MoceIR
from moceir_edge.program.execute import StaticNetwork, shapes
from moceir_edge.program.lower import lower
from moceir_edge.program.program import AGREEMENT, CHOSEN, GATES, IMAGE, RESTORED, SCORES, Kind
from tests.golden import drawn_pictures

PARITY_DB = 100.0
"""Stricter than the gate of 80 dB, which a wrong expert can pass where experts matter little."""

Change = dict[str, object]


def slim(network: MoceIR, changes: dict[int, Change]) -> MoceIR:
    """A copy with other fields in some routed layers (by position); `kept` stands for the experts that stay."""
    layers = [block for _, block in network.architecture.routed()]
    for position, change in changes.items():
        layers[position] = _changed(layers[position], dict(change))
    blocks = iter(layers)
    decoder = tuple(tuple(next(blocks) for _ in level) for level in network.architecture.decoder)
    slimmed = MoceIR(replace(network.architecture, decoder=decoder)).eval()
    state = network.state_dict()
    slimmed.load_state_dict({name: state[name] for name in slimmed.state_dict()})
    return slimmed


def _changed(block: DecoderBlockShape, change: Change) -> DecoderBlockShape:
    kept = change.pop("kept", range(len(block.experts)))
    experts = tuple(expert if index in kept else None for index, expert in enumerate(block.experts))  # type: ignore[operator]
    return replace(block, experts=experts, **change)  # type: ignore[arg-type]


SLIM = {
    0: {"kept": (1, 3), "served": (1, 3)},
    1: {"kept": (), "served": (0, 1, 2, 3)},
    2: {"kept": (0, 2), "served": (0, 1, 2)},
    3: {"kept": (2,), "served": (2,)},
}
"""Several computed, none at all, the shortcut beside two experts, one, and all four."""


def run(network: MoceIR, picture: Tensor, *, gates: Tensor | None = None, guard: bool = True) -> dict[str, Tensor]:
    """The outputs of the program."""
    program = lower(network, guard=guard, gates_input=gates is not None)
    with torch.inference_mode():
        return dict(StaticNetwork(program)(picture, gates))


def parity_db(network: MoceIR, picture: Tensor, *, guard: bool = True) -> float:
    """PSNR between program and network."""
    with torch.inference_mode():
        image = network(picture).image
    return psnr_db(image.numpy(), run(network, picture, guard=guard)[RESTORED].numpy())


@pytest.mark.parametrize("size", [(8, 8), (8, 40), (16, 24), (72, 104), (120, 136)])
def test_program_equals_the_trained_network(shared: Path, size: tuple[int, int]) -> None:
    """At sizes into which no window, some or all windows fit."""
    network = load(shared / "reference" / "tiny" / "last.ckpt").network
    assert parity_db(network, drawn_pictures(2, height=size[0], width=size[1])[1:]) >= PARITY_DB


@pytest.mark.parametrize("size", [(8, 8), (40, 56), (72, 104)])
def test_program_equals_golden_s(golden_s: MoceIR, size: tuple[int, int]) -> None:
    """The published size, with weights under which experts matter."""
    assert parity_db(golden_s, drawn_pictures(2, height=size[0], width=size[1])[1:]) >= PARITY_DB


def test_a_wrong_expert_would_be_seen(golden_tiny: MoceIR) -> None:
    """The tests here can tell experts apart."""
    picture = drawn_pictures(1)
    with torch.inference_mode():
        own = golden_tiny(picture)
        for layer in range(5):
            forced = own.routes.clone()
            forced[0, layer] = SHORTCUT
            other = golden_tiny(picture, forced=forced)
            assert psnr_db(own.image.numpy(), other.image.numpy()) < PARITY_DB - 10


def test_every_picture_takes_its_own_route(golden_s: MoceIR) -> None:
    """One program serves pictures of different routes: all experts are computed and masked."""
    pictures = drawn_pictures(6)
    with torch.inference_mode():
        result = golden_s(pictures)
    assert len(set(map(tuple, result.routes.tolist()))) > 2
    module = StaticNetwork(lower(golden_s))
    for index in (0, 1, 5):
        with torch.inference_mode():
            outputs = module(pictures[index : index + 1])
        assert psnr_db(result.image[index].numpy(), outputs[RESTORED][0].numpy()) >= PARITY_DB


@pytest.mark.parametrize("index", range(6))
def test_slim_programs_equal_slim_networks(golden_tiny: MoceIR, index: int) -> None:
    """Several kept experts, none, one, and a served shortcut beside kept experts."""
    assert parity_db(slim(golden_tiny, SLIM), drawn_pictures(6)[index : index + 1]) >= PARITY_DB


@pytest.mark.parametrize("guard", [True, False])
def test_a_folded_gate_needs_no_router(golden_tiny: MoceIR, guard: bool) -> None:
    """One expert or none in each layer, with and without the routers."""
    folded = {"mean_gate": 0.5, "router": guard}
    one = {position: {"kept": (position % 4,), "served": (position % 4,), **folded} for position in range(4)}
    network = slim(golden_tiny, {**one, 4: {"kept": (), "served": (0, 1, 2, 3), **folded}})
    picture = drawn_pictures(1)
    assert parity_db(network, picture) >= PARITY_DB
    assert set(run(network, picture)) == ({RESTORED, AGREEMENT, SCORES} if guard else {RESTORED})
    assert not any("routing" in op.name for op in lower(network, guard=False).operations)


@pytest.mark.parametrize("slimmed", [False, True])
def test_guard_outputs_are_those_of_the_router(golden_tiny: MoceIR, slimmed: bool) -> None:
    """Scores of all experts, and the share of layers whose first choice is served."""
    network = slim(golden_tiny, SLIM) if slimmed else golden_tiny
    served = [block.served for _, block in network.architecture.routed()]
    agreements = []
    for picture in drawn_pictures(6).split(1):
        with torch.inference_mode():
            scores = network(picture).scores
        outputs = run(network, picture)
        torch.testing.assert_close(outputs[SCORES], scores, atol=1e-5, rtol=0)
        expected = sum(int(row.argmax()) in some for row, some in zip(scores[0], served, strict=True)) / 5
        assert outputs[AGREEMENT].tolist() == pytest.approx([expected])
        agreements.append(expected)
    assert (min(agreements) < 1) == slimmed


def test_without_guard_the_picture_is_the_same(golden_tiny: MoceIR) -> None:
    """An exact gate keeps its router, and gives only the picture."""
    picture = drawn_pictures(1)
    outputs = run(golden_tiny, picture, guard=False)
    assert set(outputs) == {RESTORED}
    assert torch.equal(outputs[RESTORED], run(golden_tiny, picture)[RESTORED])


def test_equal_scores_choose_the_first_expert(golden_tiny: MoceIR) -> None:
    """A tie gives one expert its weight, not all of them."""
    network = slim(golden_tiny, {})
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".routing." in name:
                parameter.zero_()
    picture = drawn_pictures(1)
    assert network(picture).routes.tolist() == [[0] * 5]
    assert parity_db(network, picture) >= PARITY_DB


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_gates_decide_the_route_from_outside(golden_tiny: MoceIR, offset: int) -> None:
    """One gate for an expert in each layer: the same as that route forced, with the router's own gate."""
    picture = drawn_pictures(1)
    with torch.inference_mode():
        own = golden_tiny(picture)
        forced = (own.routes + offset) % 4
        expected = golden_tiny(picture, forced=forced)
    # Layers after a changed one see another picture, so the gates are those of the forced run.
    gates = torch.zeros(1, 5, 4).scatter(2, forced[:, :, None], expected.scores.amax(-1, keepdim=True))
    outputs = run(golden_tiny, picture, gates=gates)
    assert psnr_db(expected.image.numpy(), outputs[RESTORED].numpy()) >= PARITY_DB
    assert outputs[SCORES].shape == (1, 5, 4)


def test_gates_of_a_slim_model_reach_its_kept_experts(golden_tiny: MoceIR) -> None:
    """The gates keep their original indices; those of dropped experts are not read."""
    network = slim(golden_tiny, SLIM)
    picture = drawn_pictures(1)
    with torch.inference_mode():
        own = network(picture)
    gate = own.scores.gather(2, own.routes[:, :, None])
    gates = torch.zeros(1, 5, 4).scatter(2, own.routes[:, :, None], gate)
    gates[0, 0, 0] = gates[0, 3, 1] = 9.0
    assert psnr_db(own.image.numpy(), run(network, picture, gates=gates)[RESTORED].numpy()) >= PARITY_DB


@pytest.mark.parametrize("slimmed", [False, True])
def test_without_gates_the_routers_decide(golden_tiny: MoceIR, slimmed: bool) -> None:
    """All zeros give, bit for bit, what a program without the input gives; `chosen`, given back, changes nothing."""
    network = slim(golden_tiny, SLIM) if slimmed else golden_tiny
    picture = drawn_pictures(1)
    alone, free = run(network, picture), run(network, picture, gates=torch.zeros(1, 5, 4))
    assert torch.equal(alone[RESTORED], free[RESTORED])
    with torch.inference_mode():
        assert network(picture).routes.tolist() == free[CHOSEN].argmax(2).tolist()
    obeying = run(network, drawn_pictures(2)[1:], gates=free[CHOSEN])
    assert torch.equal(obeying[CHOSEN], free[CHOSEN])
    assert torch.equal(run(network, picture, gates=free[CHOSEN])[RESTORED], alone[RESTORED])


def test_a_network_takes_gates_as_its_program_does(golden_tiny: MoceIR) -> None:
    """In two layers the caller decides, in the others the routers."""
    picture = drawn_pictures(1)
    gates = torch.zeros(1, 5, 4)
    gates[0, 1, 2], gates[0, 3, 0] = 0.4, 0.7
    with torch.inference_mode():
        wanted = golden_tiny(picture, gates=gates)
    outputs = run(golden_tiny, picture, gates=gates)
    for layer in (1, 3):
        assert torch.equal(outputs[CHOSEN][0, layer], gates[0, layer])
    assert psnr_db(wanted.image.numpy(), outputs[RESTORED].numpy()) >= PARITY_DB


def test_a_program_is_a_plain_list(golden_tiny: MoceIR) -> None:
    """Unique names, every value before its use, no wasted operation, and the same contract for any network."""
    for network in (golden_tiny, slim(golden_tiny, SLIM)):
        program = lower(network, gates_input=True)
        assert program.inputs == (IMAGE, GATES)
        assert (program.layers, program.experts) == (network.architecture.layers, 4)
        known: set[str] = set()
        for op in program.operations:
            assert op.name not in known
            assert set(op.inputs) <= known
            known.add(op.name)
        used = {name for op in program.operations for name in op.inputs} | set(program.outputs.values())
        assert known == used


def test_shapes_are_known_without_running(golden_tiny: MoceIR) -> None:
    """Every value's shape, for a picture of any size."""
    program = lower(golden_tiny)
    found = shapes(program, 24, 40)
    assert found[program.outputs[RESTORED]] == (1, 3, 24, 40)
    assert found[program.outputs[SCORES]] == (1, 5, 4)
    assert found[program.outputs[AGREEMENT]] == (1,)
    assert {op.name for op in program.operations} <= found.keys()


def test_large_sums_stay_in_float32(golden_tiny: MoceIR) -> None:
    """Norms, products over all pixels, windows, routers and the last sum are islands; the trunk is not."""
    by_name = {op.name: op for op in lower(golden_tiny).operations}
    assert all(op.exact for op in by_name.values() if op.kind in (Kind.NORM, Kind.WINDOWS, Kind.UNWINDOWS))
    for part in (".routing.", ".windows.", ".similarity"):
        assert all(op.exact for name, op in by_name.items() if part in name), part
    assert by_name[RESTORED].exact
    assert not by_name["latent.layers.0.ffn.project_in.a"].exact
