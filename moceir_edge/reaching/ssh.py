"""The OpenSSH client: how it is called, and what its complaints mean."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from moceir_edge.reaching.calling import Said
from moceir_edge.reaching.patience import MISSED_BEATS
from moceir_edge.reaching.place import Ssh

LOST = 255
"""What the client leaves with when it, and not the command, failed."""

CONFIGURATION = "MOCEIR_EDGE_SSH_CONFIG"
"""Environment variable: a configuration file for the client in place of the user's and the system's (`ssh -F`)."""


def ssh_command(place: Ssh, script: Sequence[str], *, connect_s: int, beat_s: int) -> list[str]:
    """Run `sh -c` with these words there: keys only, known hosts only, no question asked, nothing forwarded."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "NoHostAuthenticationForLocalhost": "no",
        "VerifyHostKeyDNS": "no",
        "UpdateHostKeys": "no",
        "PreferredAuthentications": "publickey",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ConnectTimeout": str(connect_s),
        "ConnectionAttempts": "1",
        "ServerAliveInterval": str(beat_s),
        "ServerAliveCountMax": str(MISSED_BEATS),
        "ControlMaster": "no",
        "ControlPath": "none",  # a connection of the user's own may have been opened with a password, or without a look
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
        "LogLevel": "ERROR",
    }
    configuration = os.environ.get(CONFIGURATION)
    words = ["ssh", *(["-F", configuration] if configuration else [])]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words += ["-p", str(place.port)] if place.port is not None else []
    words += ["-l", place.user] if place.user is not None else []
    return [*words, "--", place.host, f"exec sh -c {shlex.join(script)}"]


@dataclass(frozen=True)
class Complaint:
    """what, remedy: as in errors; may_pass: whether the same device may answer a little later."""

    what: str
    remedy: str
    may_pass: bool = False


def complaint(place: Ssh, said: Said) -> Complaint:
    """What the client's words mean; they are the same in all its releases since 7, and in no other language."""
    port = f" -p {place.port}" if place.port is not None else ""
    known = f"[{place.host}]:{place.port}" if place.port not in {None, 22} else place.host
    if "HOST IDENTIFICATION HAS CHANGED" in said.err or "host key is revoked" in said.err:
        return Complaint(
            f"its host key is not the one that is known{_fingerprint(said)}: a new system, or someone in between",
            f"compare it on the device; only if it is right: ssh-keygen -R {shlex.quote(known)}, and add it anew",
        )
    if "Host key verification failed" in said.err:
        return Complaint(
            "its host key is not known here",
            f"ssh-keyscan{port} {place.host} > key; compare `ssh-keygen -lf key` with what the device itself says "
            "(`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there); then cat key >> ~/.ssh/known_hosts",
        )
    if "Permission denied" in said.err or "Too many authentication failures" in said.err:
        user = f"{place.user}@" if place.user is not None else ""
        return Complaint(
            f"it refused the key: {said.last_line}",
            f"ssh-copy-id{port} {user}{place.host}, and ssh-add the key if it has a passphrase; passwords are not used",
        )
    if "Bad configuration option" in said.err or "Can't open user config file" in said.err:
        return Complaint(f"ssh's configuration is wrong: {said.last_line}", "correct it")
    if "Could not resolve hostname" in said.err:
        return Complaint(f"cannot be reached: {said.last_line}", "check the name and the network", may_pass=True)
    return Complaint(
        f"cannot be reached: {said.last_line}",
        f"check that it is on, and that ssh{port} {place.host} works without a password",
        may_pass=True,
    )


def _fingerprint(said: Said) -> str:
    words = said.err.replace("\n", " ").split()
    found = [word.rstrip(".") for word in words if word.startswith("SHA256:")]
    return f" (it shows {found[0]})" if found else ""
