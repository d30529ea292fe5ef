"""Results as text for people."""

from __future__ import annotations

from pathlib import Path

from moceir_edge.bundling.bundle import Bundled
from moceir_edge.evaluating import Evaluation
from moceir_edge.health import Health
from moceir_edge.inspecting import Inspection
from moceir_edge.narrowing.narrow import Narrowed
from moceir_edge.outcome import ArtifactOutcome
from moceir_edge.parity.verify import Verification
from moceir_edge.routing.relevance import Verdict
from moceir_edge.routing.routing import Routing
from moceir_edge.stages import PipelineResult
from moceir_edge.standalone import Slimmed
from moceir_edge.terms import GateState
from moceir_edge.training.result import Trained

_MARKS = {GateState.PASSED: "passed ", GateState.FAILED: "FAILED ", GateState.NOT_RUN: "not run"}


def pipeline_text(result: PipelineResult) -> str:
    """Artifacts with what failed and what is not verified."""
    lines = [line for artifact in result.artifacts for line in _outcome(artifact)]
    reused = ", ".join(result.stages_reused) or "none"
    return "\n".join([*lines, f"stages reused: {reused}", f"report: {Path(result.out) / 'report.html'}"])


def _outcome(artifact: ArtifactOutcome) -> list[str]:
    fine = f"no gate failed, {len(artifact.not_run)} not run" if artifact.not_run else "all gates passed"
    state = fine if artifact.passed else f"{len(artifact.failed_gates)} gates failed"
    verified = "" if artifact.verified else ", not verified"
    failed = [f"  FAILED  {text}" for text in artifact.failed_gates]
    not_run = [f"  not run {text}" for text in artifact.not_run]
    unverified = [f"  {text}" for text in artifact.unverified]
    return [f"{artifact.folder}: {state}{verified}", *failed, *not_run, *unverified]


def verification_text(verification: Verification) -> str:
    """Rows by task, then gates."""
    lines = [f"{'step':<10} {'task':<12} {'n':>3} {'PSNR dB':>8} {'loss dB':>8} {'worst':>8} {'parity':>8} {'SSIM':>7}"]
    for row in verification.summaries:
        if row.set_name is None:
            loss = None if row.loss_db is None else row.loss_db.mean
            numbers = " ".join(
                _number(value, 8, 4 if value in (loss, row.worst_loss_db) else 2)
                for value in (row.quality_db, loss, row.worst_loss_db, row.worst_parity_db)
            )
            lines.append(f"{row.step:<10} {row.task:<12} {row.n:>3} {numbers} {_number(row.ssim, 7, 4)}")
    lines.extend(f"{_MARKS[gate.state]} {gate.text}" for gate in verification.gates)
    lines.extend(f"not verified: {text}" for text in verification.unverified)
    return "\n".join(lines)


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def inspection_text(found: Inspection) -> str:
    """A few lines of facts."""
    height, width = found.size
    lines = [
        f"{found.path}: {found.name}",
        f"sha256 {found.sha256}",
        f"{found.parameters:,} parameters"
        + ("" if found.expert_parameters is None else f", {found.expert_parameters:,} in experts"),
        f"{found.macs / 1e9:.3f} G MACs at {width}x{height}, all kept experts computed",
    ]
    if found.macs_by_expert:
        lines.extend(f"  expert {index}: {count / 1e9:.3f} G MACs" for index, count in found.macs_by_expert.items())
    lines.extend(f"  {name}: {text}" for name, text in found.layers.items())
    lines.extend(f"  {name}: {text}" for name, text in (found.placement or {}).items())
    if found.made_from is not None:
        lines.append(f"made from the model {found.made_from}")
    if found.tasks:
        lines.append(f"made for {', '.join(found.tasks)}")
    if found.verified is not None:
        lines.append("verified here" if found.verified else "not verified")
    return "\n".join(lines)


def evaluation_text(result: Evaluation) -> str:
    """A line for each task and set."""
    lines = [f"{'set':<20} {'n':>3} {'input dB':>9} {'PSNR dB':>8} {'95 % interval':>17} {'worst':>7} {'SSIM':>7}"]
    for row in result.sets:
        name = row.task.value if row.set_name is None else f"  {row.set_name}"
        found = row.quality_db
        interval = f"{found.low:.2f} - {found.high:.2f}" if found else "-"
        lines.append(
            f"{name:<20} {row.n:>3} {_number(row.input_db, 9, 2)} {_number(found.mean if found else None, 8, 2)} "
            f"{interval:>17} {_number(row.worst_db, 7, 2)} {_number(row.ssim, 7, 4)}"
        )
    if result.size is not None:
        height, width = result.size
        lines.append(f"of each picture only the centre of {width}x{height}, the size this artifact serves")
    return "\n".join(lines)


def routing_text(routing: Routing, out: Path) -> str:
    """Counts by task and layer, and whether experts matter."""
    lines = [f"{'task':<12} {'layer':<22} counts by expert (choosing pictures)"]
    for use in routing.evidence.uses:
        counts = "/".join(str(count) for count in use.counts)
        lines.append(f"{use.task:<12} {use.layer:<22} {counts}   smallest margin {use.min_margin:.3f}")
    measured = routing.relevance.layers if routing.relevance else ()
    lines.extend(f"{row.task:<12} {row.layer:<22} {_verdict(row.verdict)}" for row in measured)
    return "\n".join([*lines, f"wrote {out}"])


def _verdict(verdict: Verdict) -> str:
    match verdict:
        case Verdict.IDLE:
            return "idle: any expert, or none, gives the same PSNR within 0.01 dB; its counts are no evidence"
        case Verdict.MATTERS:
            return "matters: replacing its expert changes the PSNR by more than 0.01 dB"
        case Verdict.UNKNOWN:
            return "unknown: no picture took another route, or none has a target"


def slim_text(result: Slimmed) -> str:
    """The plan, and what it saves."""
    costs = result.costs
    low, high = (count / 1e9 for count in costs.dynamic_macs)
    before = f"all experts {costs.full_macs / 1e9:.3f}, one a layer {low:.3f} to {high:.3f}"
    lines = [
        result.plan.text,
        f"parameters {costs.full_parameters:,} -> {costs.parameters:,}",
        f"G MACs at {costs.size[1]}x{costs.size[0]}: {before} -> {costs.macs / 1e9:.3f}",
    ]
    if result.guard is not None:
        share = (
            f"{result.guard.share_of_parameters:.1%} of the parameters, {result.guard.share_of_macs:.2%} of the MACs"
        )
        needed = " (the exact gate needs it in any case)" if result.guard.needed else ""
        lines.append(f"guard: {share}{needed}")
    return "\n".join([*lines, f"wrote {result.path}"])


def trained_text(result: Trained) -> str:
    """Steps, the last validation, the model."""
    lines = [f"{result.steps} steps"]
    lines.extend(f"  {task:<12} {value:.2f} dB" for task, value in result.psnr.items())
    lines.extend(f"  not used: {reason}" for reason in result.unreadable)
    return "\n".join([*lines, f"wrote {result.model} (sha256 {result.sha256[:12]})"])


def health_text(health: Health) -> str:
    """Libraries, targets, and what to do."""
    lines = [f"Python {health.python}, {health.system}, {health.cores} cores, GPU: {health.gpu or 'none'}"]
    lines.extend(f"  {name:<28} {version or 'not installed'}" for name, version in health.libraries.items())
    lines.extend(f"target {t.target:<9} {'works here' if t.works else f'missing {t.remedy}'}" for t in health.targets)
    return "\n".join([*lines, *health.notes])


def narrow_text(found: Narrowed) -> str:
    """What was cut, and what it cost."""
    (parameters, parameters_before), (macs, macs_before) = found.parameters, found.macs
    lines = [
        f"wrote {found.path} (model sha256 {found.sha256[:12]})",
        f"parameters {parameters:,} of {parameters_before:,} ({parameters / parameters_before:.3f})",
        f"MACs {macs / 1e9:.3f} G of {macs_before / 1e9:.3f} G at 256x256 ({macs / macs_before:.3f})",
    ]
    search = found.cutting.latency
    if search is not None:
        taken = [one.latency_ms for one in search.timed if one.trunk == found.cutting.plan.trunk]
        fitting = max(latency for latency in taken if latency <= search.limit_ms)
        lines.append(f"{fitting:.1f} ms of {search.whole_ms:.1f}, {search.limit_ms:g} were asked for; {search.what}")
    trained = f"after {found.distilled} steps of distillation" if found.distilled else "without training"
    lines += [
        f"predicted loss before any training: {found.cutting.predicted_db:.2f} dB; measured {trained}:",
        f"{'task':<12} {'n':>3} {'input dB':>9} {'whole dB':>9} {'narrow dB':>9} {'loss dB':>8} {'worst':>7}",
    ]
    for row in found.judgement.summaries:
        loss = None if row.loss_db is None else row.loss_db.mean
        numbers = [(row.input_db, 9, 2), (row.reference_db, 9, 2), (row.quality_db, 9, 2), (loss, 8, 3)]
        numbers.append((row.worst_loss_db, 7, 3))
        name = row.task if row.set_name is None else f"  {row.set_name}"
        lines.append(f"{name:<12} {row.n:>3} " + " ".join(_number(*number) for number in numbers))
    return "\n".join(lines)


def bundle_text(result: Bundled) -> str:
    """The file, what a device has to reach, and what is to be done there."""
    signed = "signed" if result.signed else "not signed"
    lines = [f"wrote {result.path}: {result.files} files, {result.size_bytes / 2**20:.1f} MiB, {signed}"]
    for golden in result.golden:
        floor = "no floor" if golden.floor_db is None else f"at least {golden.floor_db:g} dB to the full model"
        lines.append(f"  golden {golden.name}: {floor}")
    lines.extend(f"  {note}" for note in result.notes)
    lines.append(f"on the device: tar xzf {Path(result.path).name} && cd {result.name} && cat README.md")
    return "\n".join(lines)
