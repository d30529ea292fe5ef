"""Entry: options that every command takes, and one way out for every error."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from moceir_edge.cli.console import INTERRUPTED, Console, printable
from moceir_edge.errors import InputError, MoceirEdgeError

FLAGS = {
    "--json": "as_json",
    "-v": "verbose",
    "--verbose": "verbose",
    "-q": "quiet",
    "--quiet": "quiet",
}

CONTINUING = frozenset(("demo", "narrow", "frontier", "export", "pipeline", "train"))
"""Commands that keep what they have made in a folder, and go on from it."""

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""What typer raises for words it does not know; newer versions carry a click of their own."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0, 1 (our fault), 2 (wrong input) or 3 (a gate failed)."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command; returns the exit code."""
    console, rest = Console(), arguments
    try:
        rest = _take_common(arguments, console)
        from moceir_edge.cli.commands import application

        code = application(rest, console)
    except MoceirEdgeError as error:
        return _failed(console, error.what, error.remedy, code=error.exit_code)
    except typer.Exit as leaving:
        return leaving.exit_code
    except UsageError as error:
        return _failed(console, error.format_message(), f"see {_asked(error)} --help", code=2)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(console, "interrupted", _start_again(rest[:1]), code=INTERRUPTED)
    except OSError as error:
        return _system_refused(console, error)
    except Exception as error:  # noqa: BLE001 (the last line of defence: no traceback for people)
        return _own_fault(console, error)
    return code


def _start_again(command: Sequence[str]) -> str:
    """What to do after Ctrl-C, by the command."""
    if CONTINUING.intersection(command):
        return "start it again; a run continues where it stopped"
    if "restore" in command:
        return "start it again with --force; that restores what is written again"
    return "start it again"


def _take_common(arguments: list[str], console: Console) -> list[str]:
    """Take the options of every command out of the arguments, wherever they stand before `--`."""
    rest: list[str] = []
    logs: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument == "--":
            rest.extend([argument, *queue])
            break
        if argument in FLAGS:
            setattr(console, FLAGS[argument], True)
        elif argument == "--log" or argument.startswith("--log="):
            logs.append(argument.partition("=")[2] or (queue.pop(0) if queue else ""))
        else:
            rest.append(argument)
    for log in logs:  # last, so that an error is told as it was asked for
        if not log:
            raise InputError("--log needs a file", "write --log FILE")
        console.log_into(Path(log))
    return rest


def _asked(error: Any) -> str:
    """The command that was asked for."""
    return error.ctx.command_path if error.ctx is not None else "moceir-edge"


def _failed(console: Console, what: str, remedy: str, *, code: int, **more: Any) -> int:
    if console.as_json and console.speaks:
        print(json.dumps({"error": {"what": what, "remedy": remedy, "exit_code": code, **more}}))  # noqa: T201
    else:
        print(f"error: {_line(what)}\n  {_line(remedy)}", file=sys.stderr)  # noqa: T201
    console.write_log(f"error: {_line(what)}; {_line(remedy)}")
    return code


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _system_refused(console: Console, error: OSError) -> int:
    from moceir_edge.records import output_error

    refused = output_error(Path(str(error.filename or "the output")), error)
    if refused is None:
        return _own_fault(console, error)
    return _failed(console, refused.what, refused.remedy, code=refused.exit_code)


def _own_fault(console: Console, error: Exception) -> int:
    if console.verbose:
        traceback.print_exc()
    what = f"internal error: {type(error).__name__}: {error}"
    return _failed(console, what, "please report it; -v shows where it happened", code=1)
