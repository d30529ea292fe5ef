"""Computers that are not there: each an OpenSSH server of its own on loopback, with a home, a key and a port."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from moceir_edge.reaching.place import Ssh
from moceir_edge.reaching.ssh import CONFIGURATION

LINK = Path(__file__).with_name("link.py")
MARK = "MOCEIR_EDGE_TEST_COMPUTER"
FOLDER = ".moceir-edge-visit"

SERVER = """Port {port}
ListenAddress 127.0.0.1
HostKey {key}
AuthorizedKeysFile {authorized}
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
SetEnv HOME={home} {mark}={home}
{more}
"""


def require_openssh() -> None:
    """Skip where there is no client or no server."""
    for name in ("ssh", "sshd", "ssh-keygen"):
        if program(name) is None:
            pytest.skip(f"not here: {name} is not installed")


def program(name: str) -> str | None:
    """Where a program is; servers are not on every user's path."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def new_key(path: Path) -> Path:
    """A private key, with its public one beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Network:
    """The computers of a test, and what the client knows of them; the user's own ~/.ssh is not looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = new_key(folder / "user_key")
        self.known = folder / "known_hosts"
        self.known.touch()
        self.configuration = folder / "ssh_config"
        self._hosts: list[str] = []
        self.computers: list[Computer] = []
        self._write()

    def computer(self, name: str, *, home: Path | None = None, more: str = "", known: bool = True) -> Computer:
        """A computer that is on; more: lines of its server's configuration."""
        made = Computer(self.folder / name, self.key, home=home, more=more)
        self.computers.append(made)
        if known:
            self.know(made)
        made.switch_on()
        return made

    def know(self, computer: Computer) -> None:
        """Add its host key to those that the client knows."""
        public = computer.key.with_suffix(".pub").read_text()
        with self.known.open("a") as stream:
            stream.write(f"[127.0.0.1]:{computer.port} {public}")

    def link(self, computer: Computer, *words: str) -> Ssh:
        """The computer by another name, under which its connection is as link.py is told."""
        name = f"link{len(self._hosts)}"
        command = " ".join([sys.executable, str(LINK), "127.0.0.1", str(computer.port), *words])
        lines = [f"Host {name}", f"  HostKeyAlias [127.0.0.1]:{computer.port}", f"  ProxyCommand {command}"]
        self._hosts.append("\n".join(lines))
        self._write()
        return Ssh(name, computer.place.user)

    def _write(self) -> None:
        everyone = [
            "Host *",
            f"  UserKnownHostsFile {self.known}",
            "  GlobalKnownHostsFile /dev/null",
            f"  IdentityFile {self.key}",
            "  IdentitiesOnly yes",
            "  IdentityAgent none",
        ]
        self.configuration.write_text("\n".join([*self._hosts, *everyone]) + "\n")


class Computer:
    """One OpenSSH server; everything that runs below it has its mark."""

    def __init__(self, folder: Path, user_key: Path, *, home: Path | None, more: str) -> None:
        self.home = home or folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        (self.home / "notes.txt").write_text("the owner's\n")
        self.key = new_key(folder / "host_key")
        self.port = free_port()
        self.place = Ssh("127.0.0.1", getpass.getuser(), self.port)
        self.log = folder / "log"
        self._configuration = folder / "sshd_config"
        self._server: subprocess.Popen[bytes] | None = None
        authorized = user_key.with_suffix(".pub")
        words = {"port": self.port, "key": self.key, "authorized": authorized, "home": self.home, "mark": MARK}
        self._configuration.write_text(SERVER.format(**words, more=more))

    def switch_on(self) -> None:
        """Start the server and wait until it listens."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates privileges; its package makes it at boot
        command = [program("sshd") or "sshd", "-D", "-e", "-f", str(self._configuration)]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def cut_off(self) -> None:
        """The network fails: the server and its connections end, what runs on the computer goes on."""
        assert self._server is not None
        for pid in (self._server.pid, *_below(self._server.pid)):
            if b"sshd" in _read(pid, "cmdline"):
                _kill(pid)
        self._server.wait()

    def switch_off(self) -> None:
        """The power fails: everything on it ends at once."""
        assert self._server is not None
        ours = [self._server.pid, *_below(self._server.pid), *self.running()]
        for pid in ours:
            _kill(pid)
        self._server.wait()
        for pid in self.running():
            _kill(pid)

    def freeze(self) -> None:
        """The system hangs: nothing on it gets any time, and connections stay open."""
        assert self._server is not None
        for pid in (self._server.pid, *_below(self._server.pid), *self.running()):
            os.kill(pid, signal.SIGSTOP)

    def running(self) -> list[int]:
        """Programs that were started on it and still run."""
        mark = f"{MARK}={self.home}".encode()
        return [pid for pid in _pids() if mark in _read(pid, "environ").split(b"\0")]

    def left(self) -> list[str]:
        """What is in its home beside its owner's own things."""
        return sorted(path.name for path in self.home.iterdir() if path.name not in {"notes.txt", ".bashrc"})

    def commands(self) -> list[str]:
        """What runs on it, for a message."""
        return [_read(pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace")[-120:] for pid in self.running()]


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())


def _read(pid: int, name: str) -> bytes:
    try:
        return (Path("/proc") / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _parents() -> dict[int, int]:
    """Parent of every process: the second word after its name, which is in brackets."""
    stats = {pid: _read(pid, "stat").rpartition(b")")[2].split() for pid in _pids()}
    return {pid: int(words[1]) for pid, words in stats.items() if len(words) > 1}


def _below(pid: int) -> Sequence[int]:
    parents = _parents()
    children = [child for child, parent in parents.items() if parent == pid]
    return [*children, *(one for child in children for one in _below(child))]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(happens: Callable[[], object], seconds: float = 30.0, what: str = "it") -> None:
    """Wait for a condition (a callable); an AssertionError names what did not happen."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)


def use(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the client use the network's configuration."""
    monkeypatch.setenv(CONFIGURATION, str(network.configuration))
