"""What restoring costs beside pure inference, measured side by side.

python -m moceir_edge.streaming folder MODEL|ARTIFACT IMAGE IMAGE... [--threads N] [--rounds N]
python -m moceir_edge.streaming tiles MODEL|ARTIFACT IMAGE [--tile N] [--threads N] [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from moceir_edge.errors import MoceirEdgeError
from moceir_edge.streaming.rates import folder_rate, tiled_cost


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 fine, 2 wrong input."""
    given = _parser().parse_args(arguments)
    try:
        if given.what == "folder":
            found = folder_rate(given.path, given.pictures, threads=given.threads, rounds=given.rounds)
            sys.stdout.write(found.model_dump_json(indent=1) + "\n")
        else:
            cost = tiled_cost(given.path, given.picture, tile=given.tile, threads=given.threads, rounds=given.rounds)
            sys.stdout.write(cost.model_dump_json(indent=1) + "\n")
    except MoceirEdgeError as error:
        sys.stderr.write(f"error: {error.what}\n  {error.remedy}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m moceir_edge.streaming", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    folder, tiles = commands.add_parser("folder"), commands.add_parser("tiles")
    for each in (folder, tiles):
        each.add_argument("path", type=Path)
        each.add_argument("--threads", type=int)
        each.add_argument("--rounds", type=int, default=3)
    folder.add_argument("pictures", type=Path, nargs="+")
    tiles.add_argument("picture", type=Path)
    tiles.add_argument("--tile", type=int)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
