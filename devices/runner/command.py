"""The command line: which bundle, what to do with it, and one way out for everything that is wrong."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from problem import WRONG_INPUT, Problem, refusal
from saying import complain

UNPACKING = "unpack"
MOST_THREADS = 1024
"""More cores than a device has; runtimes take any number, and end the process where the system refuses so many."""

TRACEBACK = "MOCEIR_EDGE_TRACEBACK"
"""Set in the environment, it shows where our own faults are."""


def parser():
    """Everything that can be said."""
    top = argparse.ArgumentParser(prog="run.sh", description="Checks, times and uses the bundle that it lies in.")
    commands = top.add_subparsers(dest="command", metavar="check | profile | restore | unpack")
    commands.required = True
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--require-signature", type=Path, metavar="PUBLIC_KEY", help="signed by the owner of this key")
    common.add_argument("--any-device", action="store_true", help="run on another device than the bundle is for")
    common.add_argument("--folder", type=Path, help="the bundle's folder (default: that of the runner)")
    common.add_argument("--threads", type=threads, metavar="N", help="threads that compute (default: the runtime's)")
    add_check(commands, common)
    add_profile(commands, common)
    add_restore(commands, common)
    add_unpack(commands)
    return top


def add_check(commands, common):
    """`check`."""
    commands.add_parser("check", parents=[common], help="is it whole, does it run here, is it as accurate as it was")


def add_profile(commands, common):
    """`profile`."""
    profile = commands.add_parser("profile", parents=[common], help="latency, memory and power, into a JSON file")
    profile.add_argument("--out", type=Path, default=Path("result.json"), metavar="FILE", help="default: result.json")
    profile.add_argument("--runs", type=positive, metavar="N", help="so many steady runs")
    profile.add_argument("--seconds", type=seconds, metavar="S", help="at least so long")
    profile.add_argument(
        "--paced", action="store_true", help="a run for each line 'run' on stdin: two runners in turns"
    )
    profile.add_argument("--size", type=size, metavar="HxW", help="height and width of the picture")


def add_restore(commands, common):
    """`restore`."""
    restore = commands.add_parser("restore", parents=[common], help="restore pictures")
    restore.add_argument("pictures", type=Path, nargs="+", metavar="IMAGE")
    restore.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the restored pictures")
    restore.add_argument("--strength", type=float, default=1.0, help="0 keeps the picture, 1 restores it")
    restore.add_argument("--tile", type=positive, metavar="N", help="side of the tiles in pixels")
    restore.add_argument("--force", action="store_true", help="replace pictures that are there")


def add_unpack(commands):
    """`unpack`."""
    unpack = commands.add_parser(UNPACKING, help="unpack a bundle, looking at everything in it first")
    unpack.add_argument("bundle", type=Path, metavar="BUNDLE.tar.gz")
    unpack.add_argument("out", type=Path, metavar="DIR")
    unpack.add_argument("--require-signature", type=Path, metavar="PUBLIC_KEY", help="signed by the owner of this key")


def positive(text):
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("{!r} is no whole number from 1".format(text))
    return int(text)


def threads(text):
    """A whole number from 1, as many as a runtime can start."""
    value = positive(text)
    if value > MOST_THREADS:
        raise argparse.ArgumentTypeError("{} threads are more than {}".format(value, MOST_THREADS))
    return value


def seconds(text):
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("{!r} is no number above 0".format(text))
    return value


def size(text):
    """(height, width) from "480x640"."""
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError("{!r} is no size as in 480x640 (height x width)".format(text))
    return int(parts[0]), int(parts[1])


def main(arguments):
    """Run a command; returns its exit code: 0 fine, 2 something given is wrong, 3 a gate failed."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, end)
    given = parser().parse_args(arguments)
    try:
        return unpack_bundle(given) if given.command == UNPACKING else use_bundle(given)
    except Problem as problem:
        complain("error: {}".format(problem))
        return problem.code
    except OSError as error:
        complain("error: {}".format(refusal(error.filename or "the output", error)))
        return WRONG_INPUT
    except MemoryError as error:
        complain("error: not enough memory ({}); end other programs".format(" ".join(str(error).split())))
        return WRONG_INPUT
    except KeyboardInterrupt:
        complain("error: interrupted; start it again")
        return 130
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        text = "error: internal error: {}: {}; please report it, with what {}=1 shows"
        complain(text.format(type(error).__name__, " ".join(str(error).split()), TRACEBACK))
        return 1


def end(number, _):
    """A connection that drops, or a caller that has waited too long: leave in order, so that nothing stays behind."""
    sys.exit(128 + number)


def unpack_bundle(given):
    """Where it lies now is said on stdout."""
    from unpacking import unpack

    sys.stdout.write("{}\n".format(unpack(given.bundle, given.out, given.require_signature)))
    return 0


def use_bundle(given):
    """Look at the whole bundle, then do what was asked."""
    from bundle import read_manifest, require_whole
    from fitness import require_device, require_runtime
    from signature import require_signature

    folder = given.folder or Path(sys.argv[0]).resolve().parent
    manifest = read_manifest(folder)
    signed = require_signature(folder, given.require_signature)
    require_whole(folder, manifest)
    if not given.any_device:
        require_device(manifest)
    require_runtime(manifest)
    if given.command == "check":
        from check import check

        return check(folder, manifest, signed=signed, threads=given.threads)
    if given.command == "restore":
        from restore import restore

        return restore(folder, manifest, given)
    from result import profile

    return profile(folder, manifest, given)
