"""What a slim model saves and what its guard costs: parameters and MACs."""

from __future__ import annotations

from dataclasses import replace

from moceir_edge.errors import GateError
from moceir_edge.network.architecture import Architecture, DecoderBlockShape
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs, macs_by_operation
from moceir_edge.records import Record
from moceir_edge.terms import GateMode

SIZE = (256, 256)
"""Height and width at which MACs are counted where nobody asks for another size."""


class GuardCost(Record):
    """What the routers and the frequency embedding cost at `size` (height, width).

    needed: an exact gate needs them in any case, so the guard comes for free.
    """

    parameters: int
    macs: int
    share_of_parameters: float
    share_of_macs: float
    needed: bool
    size: tuple[int, int]


class SlimCosts(Record):
    """A slim model beside its full one, at `size` (height, width).

    full_macs: the static export, which computes and masks all experts; dynamic_macs: the full model with the cheapest
    and with the dearest expert in every layer, where one expert a layer runs.
    """

    parameters: int
    full_parameters: int
    macs: int
    full_macs: int
    dynamic_macs: tuple[int, int]
    size: tuple[int, int]


def guard_cost(model: LoadedModel, *, size: tuple[int, int] = SIZE) -> GuardCost | None:
    """What a model's guard costs; None where it has none."""
    architecture = model.architecture
    if not architecture.guarded:
        return None
    parameters = sum(value.numel() for name, value in model.network.named_parameters() if _of_guard(name))
    counts = macs_by_operation(lower(model.network), *size)
    work = sum(count for name, count in counts.items() if _of_guard(name))
    return GuardCost(
        parameters=parameters,
        macs=work,
        share_of_parameters=parameters / model.parameters,
        share_of_macs=work / sum(counts.values()),
        needed=architecture.gate is GateMode.EXACT,
        size=size,
    )


def slim_costs(full: LoadedModel, slim: LoadedModel, *, size: tuple[int, int] = SIZE) -> SlimCosts:
    """Count both; the full model keeps all its experts."""
    indices = range(full.architecture.experts)
    dynamic = [macs(lower(MoceIR(_with_one_expert(full.architecture, index))), *size) for index in indices]
    return SlimCosts(
        parameters=slim.parameters,
        full_parameters=full.parameters,
        macs=macs(lower(slim.network), *size),
        full_macs=macs(lower(full.network), *size),
        dynamic_macs=(min(dynamic), max(dynamic)),
        size=size,
    )


def refuse_costly(costs: SlimCosts) -> None:
    """GateError if the slim model costs no fewer MACs than the static export of the full one."""
    if costs.macs >= costs.full_macs:
        raise GateError(
            f"the slim model costs {costs.macs / 1e9:.3f} G MACs, the static export of the full one "
            f"{costs.full_macs / 1e9:.3f} G",
            "drop more: lower --coverage or set --max-experts",
        )


def _of_guard(name: str) -> bool:
    return name.startswith("freq_embed.") or ".adapter.routing." in name


def _with_one_expert(architecture: Architecture, index: int) -> Architecture:
    def only(block: DecoderBlockShape) -> DecoderBlockShape:
        experts = tuple(expert if position == index else None for position, expert in enumerate(block.experts))
        return replace(block, experts=experts, served=(index,))

    return replace(architecture, decoder=tuple(tuple(map(only, level)) for level in architecture.decoder))
