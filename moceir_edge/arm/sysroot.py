"""The folder with everything that runs on emulated Arm: set up once, resumed where a setup was killed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from moceir_edge.arm.packages import (
    QEMU_NAMES,
    apt_config,
    debian_packages,
    last_line,
    pip_command,
    python_in,
)
from moceir_edge.errors import ArtifactError, InputError, MissingBackendError, OutputError
from moceir_edge.processor import is_arm
from moceir_edge.records import TEMPORARY, Record, replacing_file, writing

READY = "sysroot.json"
LOCK = f"{TEMPORARY}lock"
MARK = f"{TEMPORARY}arm"
"""Empty file that tells a folder of ours from another's, from the first moment on."""
_TOOLS = ("apt-get", "apt-cache", "dpkg", "dpkg-deb")


class Sysroot(Record):
    """What a finished setup holds: Python's version, as "3.11", QEMU's own words, and the archives by name."""

    python: str
    qemu: str
    archives: tuple[str, ...]


def set_up(folder: Path, *, say: Callable[[str], None]) -> Sysroot:
    """Fetch and unpack everything; what is there already is kept.

    MissingBackendError where apt or the network is missing; OutputError where the folder is another's.
    """
    if is_arm():
        raise InputError("this machine is 64-bit Arm itself", "verify the artifact here: that runs Arm kernels")
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            raise MissingBackendError(f"{tool} is not installed: {platform.system()} without apt", "use Debian")
    _refuse_foreign(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    try:
        with FileLock(folder / LOCK, timeout=0):
            return _set_up(folder.resolve(), say=say)
    except Timeout as error:
        raise OutputError(f"{folder}: another setup works there", "wait for it, or give another folder") from error


def read_sysroot(folder: Path) -> Sysroot:
    """What `set_up` finished; InputError where it did not, or where something of it is gone."""
    try:
        made = Sysroot.read(folder / READY)
    except ArtifactError as error:
        raise InputError(f"{folder}: no finished setup of the Arm emulation", repair(folder)) from error
    needed = (f"root/usr/bin/python{made.python}", "site/onnxruntime", "site/numpy")
    lacking = [name for name in needed if not (folder / name).exists()]
    if not any(os.access(folder / "qemu" / name, os.X_OK) for name in QEMU_NAMES):
        lacking.append("a QEMU that may be executed")
    if lacking:
        raise InputError(f"{folder}: the Arm emulation lacks {', '.join(lacking)}", repair(folder))
    return made


def repair(folder: Path) -> str:
    """What to do about a folder that is no whole setup."""
    return f"set it up again: python -m moceir_edge.arm setup {folder}"


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not any((folder / name).is_file() for name in (MARK, LOCK, READY)):
        raise OutputError(f"{folder} exists already and is no setup of the Arm emulation", "give another folder")


def _finished(folder: Path) -> Sysroot | None:
    """A whole setup that is kept; None where there is something to do."""
    try:
        return read_sysroot(folder)
    except InputError:
        return None


def _set_up(folder: Path, *, say: Callable[[str], None]) -> Sysroot:
    if (finished := _finished(folder)) is not None:
        say(f"{folder}: set up already")
        return finished
    host = _output(["dpkg", "--print-architecture"]).strip()
    say("fetching the lists of Debian's packages")
    environment = _own_apt(folder / "apt", host=host)
    _fetched(["apt-get", "update", "-q"], environment, "the lists of packages")
    python = python_in(_output(["apt-cache", "search", "--names-only", r"^python3\.[0-9]+-minimal$"], environment))
    say(f"fetching Python {python} for Arm and QEMU (80 MB)")
    options = ["install", "-q", "--yes", "--download-only", "--no-install-recommends"]
    _fetched(["apt-get", *options, *debian_packages(python, host=host)], environment, "packages")
    archives = tuple(sorted((folder / "apt/cache/archives").glob("*.deb")))
    say(f"unpacking {len(archives)} packages")
    _unpack(archives, folder)
    say("fetching ONNX Runtime and numpy for Arm (20 MB)")
    _fetched(pip_command(python, folder / "site"), os.environ, "the wheels")
    sysroot = Sysroot(
        python=python,
        qemu=_output([str(qemu_of(folder)), "--version"]).splitlines()[0],
        archives=tuple(path.name for path in archives),
    )
    shutil.rmtree(folder / "apt")
    sysroot.write(folder / READY)
    return sysroot


def _own_apt(folder: Path, *, host: str) -> Mapping[str, str]:
    """The environment for an apt of its own."""
    for name in ("state", "lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "apt.conf").write_text(apt_config(folder, host=host), encoding="utf-8")
    return {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _unpack(archives: Sequence[Path], folder: Path) -> None:
    """Packages for Arm as a whole, of QEMU the one program."""
    root, programs = folder / "root", folder / "qemu"
    root.mkdir(exist_ok=True)
    programs.mkdir(exist_ok=True)
    for archive in archives:
        if archive.name.startswith("qemu-"):
            _extract_qemu(archive, programs)
        elif archive.name.endswith(("_arm64.deb", "_all.deb")):
            _output(["dpkg-deb", "--extract", str(archive), str(root)])
    if not (root / "lib").exists():  # releases whose packages hold usr/lib alone
        (root / "lib").symlink_to("usr/lib")


def _extract_qemu(archive: Path, programs: Path) -> None:
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    damaged = MissingBackendError(f"{archive.name} cannot be unpacked", "delete the folder and start again")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as files:
                _keep_qemu(files, programs)
        except tarfile.TarError as error:
            raise damaged from error
    if unpacking.returncode:
        raise damaged


def _keep_qemu(files: tarfile.TarFile, programs: Path) -> None:
    for member in files:
        name = Path(member.name).name
        if member.isfile() and name in QEMU_NAMES and (source := files.extractfile(member)) is not None:
            with replacing_file(programs / name) as temporary:
                temporary.write_bytes(source.read())
            (programs / name).chmod(0o755)


def qemu_of(folder: Path) -> Path:
    """The program that was unpacked; MissingBackendError where no package held it."""
    for name in QEMU_NAMES:
        if (folder / "qemu" / name).is_file():
            return folder / "qemu" / name
    raise MissingBackendError(f"none of {', '.join(QEMU_NAMES)} was in Debian's packages", "use another release")


def _fetched(command: Sequence[str], environment: Mapping[str, str], what: str) -> None:
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ended.returncode:
        said = last_line([*ended.stdout.splitlines(), *ended.stderr.splitlines()])
        remedy = "check the network and the sources of apt and pip, then start it again: it goes on where it stopped"
        raise MissingBackendError(f"{what} cannot be fetched: {said}", remedy)


def _output(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    remedy = "delete the folder and start again"
    try:
        ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    except OSError as error:
        raise MissingBackendError(f"{command[0]} cannot be started: {error.strerror}", remedy) from error
    if ended.returncode:
        said = last_line([*ended.stdout.splitlines(), *ended.stderr.splitlines()])
        raise MissingBackendError(f"{command[0]} failed: {said}", remedy)
    return ended.stdout
