"""A POSIX shell on a computer, behind the OpenSSH client."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from moceir_edge.errors import DeviceError
from moceir_edge.reaching.calling import Process, Said, TooLongError, call
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Ssh
from moceir_edge.reaching.ssh import LOST, complaint, ssh_command

STEPS = Path(__file__).with_name("visit.sh")
GONE = 97
"""What visit.sh leaves with when its folder is not its own any more."""


class MayPassError(DeviceError):
    """A failure that may be over at the next attempt: a device that was there and dropped out."""


class Shell:
    """Calls the steps of visit.sh, with the client's own configuration, agent and known hosts.

    was_there: whether it ever answered; may_hold: whether something of this visit may be there.
    """

    def __init__(self, place: Ssh, *, patience: Patience, stop: threading.Event) -> None:
        self.name = str(place)
        self.patience = patience
        self.stop = stop
        self.token = secrets.token_hex(8)
        self.was_there = False
        self.may_hold = False
        self._place = place
        self._script = STEPS.read_text(encoding="utf-8")

    def renew(self) -> str:
        """Take a new token, as an attempt does; returns the one before."""
        before, self.token = self.token, secrets.token_hex(8)
        return before

    def step(
        self,
        step: str,
        *words: str,
        limit_s: float | None = None,
        source: IO[bytes] | int = subprocess.DEVNULL,
        meanwhile: Callable[[Process], None] = lambda _: None,
        whatever: bool = False,
    ) -> Said:
        """Run one step; what it said begins after the shell's own greeting.

        whatever: also when a person has ended the visit. Errors: DeviceError, MayPassError.
        """
        script = [self._script, "visit", step, self.token, *words]
        limit_s = self.patience.step_s if limit_s is None else limit_s
        stop = None if whatever else self.stop
        self.may_hold = True
        command = ssh_command(self._place, script, connect_s=self.patience.connect_s, beat_s=self.patience.beat_s)
        try:
            said = call(command, limit_s=limit_s, source=source, meanwhile=meanwhile, stop=stop)
        except TooLongError as error:
            what = f"{self.name}: {step}: {error} (limit {limit_s:g} s)"
            raise DeviceError(what, "look at what the device does") from error
        self._require_reached(said)
        self.was_there = True
        _, greeting, out = said.out.partition(f"{self.token}\n".encode())
        if not greeting:
            what = f"{self.name}: what answers runs no commands of a POSIX shell: {said.last_line}"
            raise DeviceError(what, "give a user whose login shell is sh, bash, zsh or the like")
        if said.code == GONE:
            raise MayPassError(f"{self.name}: what this visit had there is gone", "try again")
        return Said(said.code, out, said.err)

    def _require_reached(self, said: Said) -> None:
        """Raise if these are not the words of the script, but of the client."""
        if said.code != LOST and said.code >= 0:
            return
        self.may_hold = self.was_there
        error = complaint(self._place, said)
        if error.may_pass and self.was_there:
            raise MayPassError(f"{self.name}: dropped out: {said.last_line}", "see to its power and its network")
        raise DeviceError(f"{self.name}: {error.what}", error.remedy)
