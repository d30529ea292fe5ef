"""What ends a command, in one line: what is wrong, and what to do."""

from __future__ import annotations

import errno

from saying import printable

WRONG_INPUT = 2
GATE_FAILED = 3

FULL = (errno.ENOSPC, errno.EDQUOT)


class Problem(Exception):  # noqa: N818 (an outcome to report, not a programming error)
    """text: "what is wrong; what to do". code: the exit code it asks for."""

    def __init__(self, text, code=WRONG_INPUT):
        super().__init__(printable(" ".join(text.split())))
        self.code = code


class BadPicture(Problem):
    """Of one picture alone: others of the same command go on."""


def refusal(path, error):
    """A refusal of the operating system to write `path`, in words."""
    reason = error.strerror or str(error)
    remedy = "free some space, or choose another folder" if error.errno in FULL else "choose another folder"
    return Problem("{}: cannot be written: {}; {}".format(path, reason, remedy))
