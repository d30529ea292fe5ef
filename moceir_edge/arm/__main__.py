"""Arm kernels without a board.

python -m moceir_edge.arm setup FOLDER
python -m moceir_edge.arm check ARTIFACT --sysroot FOLDER [--cpu max] [--pictures N] [--out FILE] [--record]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from moceir_edge.arm.check import CPUS, ArmCheck, check_on_arm
from moceir_edge.arm.sysroot import set_up
from moceir_edge.artifacts import record_proof
from moceir_edge.errors import ArtifactError, GateError, MoceirEdgeError
from moceir_edge.records import output_error, refuse_existing
from moceir_edge.terms import GateState


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 fine, 2 wrong input or nothing to judge by, 3 a gate failed."""
    given = _parser().parse_args(arguments)
    try:
        _set_up(given) if given.what == "setup" else _check(given)
    except MoceirEdgeError as error:
        return _failed(error)
    except OSError as error:
        refused = output_error(Path(str(error.filename or "the output")), error)
        if refused is None:
            raise
        return _failed(refused)
    except KeyboardInterrupt:
        _say("interrupted: start it again, a setup goes on where it stopped")
        return 130
    return 0


def table(check: ArmCheck) -> str:
    """Pictures, then gates, as text."""
    lines = [f"{'picture':24} {'Arm to here':>12} {'here to clean':>14} {'Arm to clean':>13}   dB"]
    for picture in check.pictures:
        parity = "equal" if picture.parity_db is None else f"{picture.parity_db:.3f}"
        here, arm = ("-" if value is None else f"{value:.3f}" for value in (picture.here_db, picture.arm_db))
        lines.append(f"{picture.name[:24]:24} {parity:>12} {here:>14} {arm:>13}")
    return "\n".join([*lines, *(f"{gate.state}: {gate.text}" for gate in check.gates)])


def _set_up(given: argparse.Namespace) -> None:
    sysroot = set_up(given.folder, say=_say)
    sys.stdout.write(f"{given.folder}: Python {sysroot.python} for Arm, {sysroot.qemu}\n")


def _check(given: argparse.Namespace) -> None:
    if given.out is not None:
        refuse_existing(given.out, force=False)
    check = check_on_arm(given.artifact, given.sysroot, cpu=given.cpu, pictures=given.pictures, say=_say)
    sys.stdout.write(f"{table(check)}\n")
    if given.out is not None:
        check.write(given.out)
    if given.record:
        record_proof(given.artifact, "emulated", check.proof)
    said = f"{given.artifact}: {'; '.join(gate.text for gate in check.gates)}"
    if check.state is GateState.FAILED:
        raise GateError(said, "Arm kernels give another picture: do not ship it")
    if check.state is GateState.NOT_RUN:
        raise ArtifactError(said, "nothing was judged: export it again with this version")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m moceir_edge.arm", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    setup = commands.add_parser("setup", help="fetch QEMU, Python and ONNX Runtime for Arm into a folder (0.2 GB)")
    setup.add_argument("folder", type=Path, metavar="FOLDER")
    check = commands.add_parser("check", help="run an artifact's golden pictures on Arm kernels")
    check.add_argument("artifact", type=Path, metavar="ARTIFACT")
    check.add_argument("--sysroot", type=Path, required=True, metavar="FOLDER", help="what setup made")
    check.add_argument("--cpu", default="max", help=f"the processor: {', '.join(CPUS)}")
    check.add_argument("--pictures", type=_count, help="so many golden pictures; all without it")
    check.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    check.add_argument("--record", action="store_true", help="write the proof into artifact.json, for the report")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of pictures: give 1 or more")
    return int(text)


def _failed(error: MoceirEdgeError) -> int:
    _say(f"error: {error.what}\n  {error.remedy}")
    return error.exit_code


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
