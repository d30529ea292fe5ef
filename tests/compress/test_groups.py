"""What is decided together."""

from __future__ import annotations

import pytest

from moceir_edge.compress.groups import Choice, candidates, groups_of, module_of
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Kind, Program
from tests.targets.networks import small_network


@pytest.fixture(scope="module")
def program() -> Program:
    """A small network."""
    return lower(small_network())


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("enc.0.0.layers.1.ffn.project_in.a", "enc.0.0.layers.1.ffn"),
        ("dec.0.2.layers.0.adapter.experts.1.0.proj.0", "dec.0.2.layers.0.adapter"),
        ("dec.0.2.layers.0.mixer.kv_dwconv.k", "dec.0.2.layers.0.mixer"),
        ("patch_embed.proj", "patch_embed.proj"),
    ],
)
def test_modules_are_groups(name: str, module: str) -> None:
    """An attention, a feed-forward, an adapter; anything else stands alone."""
    assert module_of(name) == module


def test_candidates_are_convolutions_outside_the_islands(program: Program) -> None:
    """Islands have to stay."""
    found = candidates(program)
    assert len(found) > 20
    assert all(op.kind is Kind.CONV and not op.exact for op in found)


def test_every_candidate_is_in_one_group(program: Program) -> None:
    """In running order."""
    placed = [name for group in groups_of(program) for name in group.convolutions]
    assert sorted(placed) == sorted(op.name for op in candidates(program))


def test_a_chain_takes_the_depthwise_convolutions_in(program: Program) -> None:
    """A feed-forward can be a chain; a convolution that stands alone cannot."""
    groups = {group.name: group for group in groups_of(program)}
    ffn = next(group for name, group in groups.items() if name.endswith(".ffn"))
    assert ffn.integer(Choice.FLOAT) == ()
    assert ffn.integer(Choice.INT8) == ffn.dense
    assert set(ffn.integer(Choice.CHAIN)) == {*ffn.dense, *ffn.depthwise}
    assert ffn.depthwise
    assert groups["output"].choices == (Choice.FLOAT, Choice.INT8)


def test_a_recipe_keeps_convolutions_in_float(program: Program) -> None:
    """Searched in the names of operations."""
    groups = groups_of(program, keep_float=["ffn", "^output$"])
    assert groups
    assert not [group for group in groups if "ffn" in group.name or group.name == "output"]
