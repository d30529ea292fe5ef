"""A benchmark as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from moceir_edge.benchmarking.operators import short_kind
from moceir_edge.benchmarking.result import Benchmark, VariantResult
from moceir_edge.benchmarking.roofline import Roofline
from moceir_edge.benchmarking.variants import Variant

LONGEST = 8
"""Rows of an operator table; the others are one row."""


def bench_text(result: Benchmark) -> str:
    """What was measured, variants, what was skipped, and where the time is."""
    return "\n".join([*_head(result), "", *_variants(result), *_notes(result), *_operators(result), *_bounds(result)])


def _head(result: Benchmark) -> Iterator[str]:
    height, width = result.size
    kept = ", ".join("/".join(map(str, indices)) or "none" for indices in result.experts.values())
    machine = result.machine
    yield f"{result.model}: {result.name}, sha256 {result.model_sha256[:12]}; experts by routed layer: {kept}"
    yield f"{width}x{height}, {result.macs / 1e9:.3f} G MACs, {result.threads} threads, {result.rounds} rounds"
    yield f"{machine.device}, {machine.cores} cores, load {_number(machine.load_before, 1)}"


def _variants(result: Benchmark) -> Iterator[str]:
    yield (
        f"{'variant':<19} {'median ms':>9} {'quartiles':>15} {'x eager':>17} {'x straightforward':>18} "
        f"{'x bound':>7} {'MiB':>6} {'parity dB':>9} {'PSNR dB':>8}"
    )
    for row in result.variants:
        timing = row.timing
        quartiles = f"{timing.lower_ms:.1f} - {timing.upper_ms:.1f}"
        eager, plain = (_ratio(result, row, against) for against in (Variant.EAGER, Variant.STRAIGHTFORWARD))
        memory = row.memory.added_mib if row.memory else None
        quality = row.quality.mean_db if row.quality else None
        yield (
            f"{row.variant:<19} {timing.median_ms:>9.1f} {quartiles:>15} {eager:>17} {plain:>18} "
            f"{_number(row.over_roofline, 2):>7} {_number(memory, 0):>6} {_number(row.parity.kept_db, 1):>9} "
            f"{_number(quality, 2):>8}"
        )


def _ratio(result: Benchmark, row: VariantResult, against: Variant) -> str:
    found = result.ratio(row.variant, against)
    return "-" if found is None else f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _notes(result: Benchmark) -> Iterator[str]:
    yield "x: times as fast, median of the rounds' ratios (95 % interval); MiB: peak over the imported libraries;"
    yield "x bound: median over the roofline; parity: against PyTorch in float32 with the same experts"
    if result.whole_macs is not None:
        yield from _narrowing(result, result.whole_macs)
    if result.baseline is not None:
        yield result.baseline.text
    yield from (f"skipped {item.what}: {item.reason}" for item in result.skipped)
    yield from (f"warning: {text}" for text in result.warnings)


def _narrowing(result: Benchmark, whole_macs: int) -> Iterator[str]:
    ratio, share = result.ratio(Variant.LOWERED, Variant.WHOLE), result.latency_per_macs
    if ratio is not None and share is not None:
        yield (
            f"narrowed to {result.macs / whole_macs:.3f} of the MACs, {1 / ratio.median:.3f} of the time "
            f"({1 / ratio.high:.3f}-{1 / ratio.low:.3f}): {share:.2f} of what it saves in MACs it saves in time"
        )


def _operators(result: Benchmark) -> Iterator[str]:
    for row in result.variants:
        if not row.operators:
            continue
        total = sum(kind.time_ms for kind in row.operators)
        yield ""
        yield f"{row.variant}: {total:.1f} ms in operators"
        shown, rest = row.operators[:LONGEST], row.operators[LONGEST:]
        for kind in shown:
            share = kind.time_ms / total
            yield f"  {short_kind(kind.kind):<32} {kind.time_ms:>9.2f} ms {share:>6.1%} {kind.count:>5} x"
        if rest:
            others = sum(kind.time_ms for kind in rest)
            yield f"  {f'{len(rest)} others':<32} {others:>9.2f} ms {others / total:>6.1%}"


def _bounds(result: Benchmark) -> Iterator[str]:
    rates = [f"{peak.work} {peak.precision} {peak.gmacs_per_s:.1f} GMAC/s" for peak in result.peaks.peaks]
    yield ""
    yield f"peaks: {', '.join(rates)}, memory {result.peaks.gigabytes_per_s:.1f} GB/s"
    for found in result.rooflines:
        yield from _roofline(found)


def _roofline(found: Roofline) -> Iterator[str]:
    yield f"roofline {found.name}: {found.total_ms:.1f} ms"
    for kind in found.kinds[:LONGEST]:
        share = kind.by_bytes_ms / kind.bound_ms if kind.bound_ms else 0.0
        yield f"  {kind.kind:<32} {kind.bound_ms:>9.2f} ms, {share:>4.0%} by bytes, {kind.count:>4} x"
