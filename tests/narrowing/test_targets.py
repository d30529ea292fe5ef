"""A narrow network of size S is a network like any other: every target takes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from moceir_edge.metrics import psnr_db
from moceir_edge.narrowing.apply import apply_narrowing
from moceir_edge.narrowing.costs import Unit, cost_table
from moceir_edge.narrowing.options import parts, trunk
from moceir_edge.narrowing.plan import Width, plan_narrowing
from moceir_edge.narrowing.repair import record
from moceir_edge.narrowing.statistics import measure_statistics
from moceir_edge.network.architecture import Architecture, DecoderBlockShape
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs
from moceir_edge.runner import NetworkRunner
from moceir_edge.terms import TargetName
from tests.golden import drawn_pictures
from tests.targets.networks import exported, recipe
from tests.targets.test_contract import running, target

SIZE = (64, 64)
PARITY_DB = 80.0

pytestmark = pytest.mark.slow


def with_expert(architecture: Architecture, index: int) -> Architecture:
    """One expert in every layer."""

    def only(block: DecoderBlockShape) -> DecoderBlockShape:
        experts = tuple(expert if number == index else None for number, expert in enumerate(block.experts))
        return replace(block, experts=experts, served=(index,))

    return replace(architecture, decoder=tuple(tuple(map(only, level)) for level in architecture.decoder))


@pytest.fixture(scope="module")
def narrow(golden_s: MoceIR, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Half the MACs of S with one expert, refitted, written and read again."""
    slim = MoceIR(with_expert(golden_s.architecture, 0))
    state = golden_s.state_dict()
    slim.load_state_dict({name: state[name] for name in slim.state_dict()})
    pictures = drawn_pictures(4, height=64, width=64)
    statistics = measure_statistics(slim.eval(), list(pictures[:2].split(1)))
    found, architecture = parts(slim.architecture, statistics, multiple=16), slim.architecture
    kept = {width: trunk(architecture, statistics, width) for width in (32, 24)}
    tables = {width: Width(each, cost_table(architecture, each, found, Unit.MACS)) for width, each in kept.items()}
    budget = tables[32].costs.whole // 2
    plan = plan_narrowing(architecture, found, tables, unit=Unit.MACS, budget=budget)[-1]
    network = apply_narrowing(slim, plan, record(slim, pictures), pictures)
    assert 0.45 * tables[32].costs.whole < macs(lower(network), 256, 256) <= budget
    path = tmp_path_factory.mktemp("narrow") / "narrow.safetensors"
    save(LoadedModel(network, "golden"), path)
    assert load(path).architecture == network.architecture
    return load(path)


@pytest.mark.parametrize("name", [name for name in TargetName if name is not TargetName.QNN])
def test_every_target_takes_it(name: str, narrow: LoadedModel, tmp_path: Path) -> None:
    """In float32, at the gate on rewriting; Qualcomm's NPUs have none, and S takes their compiler minutes."""
    found = target(name)
    more = {"coreml": {"interface": "tensor"}} if name == TargetName.COREML else {}
    program = lower(narrow.network)
    artifact = exported(found, program, recipe(name, size=list(SIZE), **more), tmp_path / "artifact")
    image = drawn_pictures(5, height=64, width=64)[4].numpy()
    with torch.inference_mode():
        wanted = NetworkRunner(narrow.network).run(image).restored
    given = running(found, artifact, tmp_path / "artifact").run(image).restored
    assert psnr_db(wanted, given) >= PARITY_DB
