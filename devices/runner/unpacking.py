"""Unpacking a bundle that nobody has looked at yet: everything in it is checked before the first file is written."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from bundle import LARGEST_NOTE
from fitness import require_space
from manifest import AGAIN, MANIFEST, SIGNATURE, parsed_manifest, safe
from problem import Problem, refusal
from signature import checked_signature

MOST_MEMBERS = 4096
"""Files in a bundle; those of one that `moceir-edge bundle` writes are some dozens."""

EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.GNUTYPE_SPARSE,
)
"""Headers whose length a bundle may choose, and which tarfile reads into memory; USTAR has none."""

DAMAGES = (tarfile.TarError, EOFError, zlib.error, UnicodeError, ValueError)
"""What reading a damaged archive raises; gzip's own errors are OSErrors without a number."""

EXECUTABLE = ("run.sh", "runner.pyz")


def unpack(path, parent, public_key=None):
    """Unpack into parent/<name of the bundle>, which appears only when whole; returns that folder."""
    top, members, notes = listed(path, parent)
    if MANIFEST not in notes:
        raise Problem("{}: no bundle, it has no {}; give what `moceir-edge bundle` wrote".format(path, MANIFEST))
    manifest = parsed_manifest(notes[MANIFEST], "{}/{}".format(path, MANIFEST))
    require_listed(path, top, members, manifest)
    checked_signature(notes[MANIFEST], notes.get(SIGNATURE), public_key, path)
    folder = parent / top
    if folder.exists():
        raise Problem("{}: exists already; remove it, or give another folder".format(folder))
    require_space(parent, sum(members.values()))
    with unfinished(parent) as temporary:
        write_members(path, temporary, members, manifest)
        (temporary / top).rename(folder)
    return folder


class ExtendedHeader(Exception):  # noqa: N818 (not of the archive's damage, which tarfile's own errors tell)
    """An archive has one."""


class Header(tarfile.TarInfo):
    """The 512 bytes before a member; one that announces more of its kind is refused before that is read."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """See `tarfile`, which calls this for every header of the archive."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in EXTENSIONS:
            raise ExtendedHeader
        return found


def listed(path, parent):
    """(top folder, size of every member by its name below that, bytes of the notes); hostile members are refused."""
    top, members, notes, lowered, total = None, {}, {}, set(), 0
    with archive(path) as tar:
        for member in tar:
            first, _, name = member.name.partition("/")
            require_harmless(path, member, name)
            if top not in (None, first):
                raise Problem("{}: holds two folders, {!r} and {!r}; {}".format(path, top, first, AGAIN))
            if name.lower() in lowered:
                raise Problem("{}: holds {!r} twice; {}".format(path, name, AGAIN))
            if len(members) == MOST_MEMBERS:
                raise Problem("{}: holds more than {} files; do not use this bundle".format(path, MOST_MEMBERS))
            top, members[name], total = first, member.size, total + member.size
            lowered.add(name.lower())
            require_space(parent, total)  # what would not fit need not be decompressed
            if name in (MANIFEST, SIGNATURE):
                notes[name] = note_of(path, tar, member)
    return top, members, notes


def note_of(path, tar, member):
    """Bytes of a manifest or signature."""
    if member.size > LARGEST_NOTE:
        raise Problem("{}: {} has {} bytes; {}".format(path, member.name, member.size, AGAIN))
    return tar.extractfile(member).read()


def require_harmless(path, member, name):
    """Problem for anything but a plain file below one folder."""
    if not safe(member.name) or not name:
        raise Problem("{}: hostile path {!r}; do not use this bundle".format(path, member.name[:80]))
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = "a link" if member.issym() or member.islnk() else "no plain file"
        raise Problem("{}: {!r} is {}; do not use this bundle".format(path, member.name[:80], kind))


def require_listed(path, top, members, manifest):
    """Problem where the archive holds anything else than what its manifest says."""
    expected = {name: entry["size_bytes"] for name, entry in manifest["files"].items()}
    found = {name: size for name, size in members.items() if name not in (MANIFEST, SIGNATURE)}
    if top != manifest["name"]:
        raise Problem("{}: its folder is {!r}, not {!r}; {}".format(path, top, manifest["name"], AGAIN))
    for name in sorted(expected.keys() - found.keys()):
        raise Problem("{}: {} is missing; {}".format(path, name, AGAIN))
    for name in sorted(found.keys() - expected.keys()):
        raise Problem("{}: {} is not in its manifest; do not use this bundle".format(path, name))
    for name in sorted(name for name in found if found[name] != expected[name]):
        text = "{}: {} was altered ({} bytes, not {}); {}"
        raise Problem(text.format(path, name, found[name], expected[name], AGAIN))


def write_members(path, folder, members, manifest):
    """Write every file below `folder`; Problem where one is not as the manifest says."""
    with archive(path) as tar:
        for member in tar:
            _, _, name = member.name.partition("/")
            if member.size != members.get(name):
                raise Problem("{}: changed while it was read; start again".format(path))
            place = folder / member.name
            digest = copied(tar.extractfile(member), place)
            place.chmod(0o755 if name in EXECUTABLE else 0o644)
            if name in manifest["files"] and digest != manifest["files"][name]["sha256"]:
                raise Problem("{}: {} was altered (its sha256 differs); {}".format(path, name, AGAIN))


def copied(source, place):
    """Hash of what was written."""
    digest = hashlib.sha256()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as stream:
            for piece in iter(lambda: source.read(2**20), b""):
                digest.update(piece)
                stream.write(piece)
    except OSError as error:
        if error.errno is None:  # of the archive that is read
            raise
        raise refusal(place, error) from error
    return digest.hexdigest()


@contextmanager
def archive(path):
    """An open archive; damage anywhere in the block is a Problem."""
    try:
        with tarfile.open(str(path), "r:gz", tarinfo=Header) as tar:
            yield tar
    except ExtendedHeader:
        raise Problem("{}: has extended headers, and bundles hold none; do not use this bundle".format(path)) from None
    except DAMAGES as error:
        raise Problem("{}: cut short or damaged ({}); {}".format(path, error, AGAIN)) from error
    except OSError as error:
        if error.errno is None:  # gzip's own: no such file, or a full disk, has a number
            raise Problem("{}: cut short or damaged ({}); {}".format(path, error, AGAIN)) from error
        if str(error.filename) == str(path):
            raise Problem("{}: cannot be read: {}; check the path".format(path, error.strerror)) from error
        raise


@contextmanager
def unfinished(parent):
    """A folder that is gone after the block, whatever happens in it."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".moceir-edge-", dir=str(parent)))
    except OSError as error:
        raise refusal(parent, error) from error
    try:
        yield temporary
    finally:
        shutil.rmtree(str(temporary), ignore_errors=True)
