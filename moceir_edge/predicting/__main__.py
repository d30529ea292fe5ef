"""Bounds without a device.

python -m moceir_edge.predicting ARTIFACT --device NAME [--size WxH]... [--out FILE]
python -m moceir_edge.predicting ARTIFACT [--size WxH]... [--threads N] [--rounds N] [--out FILE]    this machine
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from moceir_edge.errors import MoceirEdgeError
from moceir_edge.predicting.here import ROUNDS, predict_here
from moceir_edge.predicting.predict import predict
from moceir_edge.predicting.table import here_text, prediction_text
from moceir_edge.records import Record, refuse_existing
from moceir_edge.terms import size_from_text


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 fine, 2 wrong input."""
    try:
        _predict(_parser().parse_args(arguments))
    except MoceirEdgeError as error:
        sys.stderr.write(f"error: {error.what}\n  {error.remedy}\n")
        return error.exit_code
    return 0


def _predict(given: argparse.Namespace) -> None:
    if given.out is not None:
        refuse_existing(given.out, force=False)
    found, text = _here(given) if given.device is None else _elsewhere(given)
    sys.stdout.write(f"{text}\n")
    if given.out is not None:
        found.write(given.out)


def _here(given: argparse.Namespace) -> tuple[Record, str]:
    here = predict_here(given.artifact, sizes=given.size, threads=given.threads, rounds=given.rounds)
    return here, here_text(here)


def _elsewhere(given: argparse.Namespace) -> tuple[Record, str]:
    bounds = predict(given.artifact, given.device, sizes=given.size)
    return bounds, prediction_text(bounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m moceir_edge.predicting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT")
    parser.add_argument("--device", metavar="NAME", help="a device profile; this machine, measured, without it")
    parser.add_argument(
        "--size", type=size_from_text, action="append", default=[], metavar="WxH", help="may be repeated"
    )
    parser.add_argument("--threads", type=_count, metavar="N", help="that compute, on this machine")
    parser.add_argument("--rounds", type=_count, default=ROUNDS, metavar="N", help="of the measurement")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number: give 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
