"""Who signed a bundle: Ed25519 (RFC 8032) over the bytes of manifest.json, by `cryptography` or by openssl 3."""

from __future__ import annotations

import base64
import binascii
import json

from bundle import manifest_bytes, note_bytes
from manifest import AGAIN, SIGNATURE
from problem import Problem

ED25519 = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of a public key in DER (RFC 8410, section 4)."""

LONGEST_KEY = 2**16
"""Bytes that a file with a key or a signature may have."""

REPAIR = "python3 -m pip install cryptography, or install openssl 3.0 or later"


def require_signature(folder, public_key):
    """What is known of the signature of an unpacked bundle, in words; see `checked_signature`."""
    path = folder / SIGNATURE
    if path.is_symlink():
        raise Problem("{}: a link, and bundles hold none; {}".format(path, AGAIN))
    signature = note_bytes(path, LONGEST_KEY) if path.is_file() else None
    return checked_signature(manifest_bytes(folder), signature, public_key, folder)


def checked_signature(manifest, signature, public_key, where):
    """In words; Problem where it is wrong, by another key than the one that is required, or not there though one is.

    manifest, signature: bytes of manifest.json and signature.json, None without one. public_key: a file, or None.
    """
    required = None if public_key is None else read_public_key(public_key)
    if signature is None:
        if required is not None:
            raise Problem("{}: is not signed, and a signature is required; get one that is".format(where))
        return "not signed"
    own, signed = parsed_signature(signature, where)
    if required is not None and own != required:
        raise Problem("{}: signed by another key than {}; get it from its owner".format(where, public_key))
    right = verified(own, signed, manifest)
    if right is None:
        if required is not None:
            raise Problem("a signature is required, and nothing here can check one; {}".format(REPAIR))
        return "signed, and nothing here can check that ({})".format(REPAIR)
    if not right:
        raise Problem("{}: was altered after it was signed; {}".format(where, AGAIN))
    trusted = "as required" if required is not None else "by somebody: --require-signature says by whom it has to be"
    return "signed {} (public key {})".format(trusted, base64.b64encode(own).decode())


def parsed_signature(data, where):
    """(public key, signature) of 32 and 64 bytes."""
    try:
        value = json.loads(data.decode("utf-8"))
        found = tuple(base64.b64decode(value[name], validate=True) for name in ("public_key", "signature"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Problem("{}/{}: damaged ({!r}); {}".format(where, SIGNATURE, error, AGAIN)) from error
    if (len(found[0]), len(found[1])) != (32, 64):
        raise Problem("{}/{}: damaged (no Ed25519 signature); {}".format(where, SIGNATURE, AGAIN))
    return found


def read_public_key(path):
    """The 32 bytes of a public key in PEM, or in Base64 as signature.json has it."""
    try:
        text = note_bytes(path, LONGEST_KEY).decode("ascii")
    except (OSError, ValueError) as error:
        raise Problem("{}: cannot be read as a public key ({}); check the path".format(path, error)) from error
    if "PRIVATE KEY" in text:
        raise Problem("{}: a private key; keep it, and give what openssl pkey -pubout makes of it".format(path))
    body = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        key = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise Problem("{}: no public key; give a PEM file".format(path)) from error
    if key.startswith(ED25519):
        key = key[len(ED25519) :]
    if len(key) != 32:
        raise Problem("{}: no Ed25519 public key; give one that openssl genpkey -algorithm ed25519 made".format(path))
    return key


def verified(public_key, signature, message):
    """Whether the signature is right; None where nothing here can tell."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return verified_by_openssl(public_key, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verified_by_openssl(public_key, signature, message):
    """`verified` by the program, where there is one of 3.0 or later."""
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    program = shutil.which("openssl")
    if program is None or not is_new(program):
        return None
    pem = base64.b64encode(ED25519 + public_key).decode()
    with tempfile.TemporaryDirectory() as folder:
        names = {name: Path(folder) / name for name in ("key.pem", "signature", "message")}
        names["key.pem"].write_text("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n".format(pem))
        names["signature"].write_bytes(signature)
        names["message"].write_bytes(message)
        given = ["-inkey", names["key.pem"], "-in", names["message"], "-sigfile", names["signature"]]
        command = [program, "pkeyutl", "-verify", "-pubin", "-rawin", *map(str, given)]
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def is_new(program):
    """Whether it is OpenSSL 3 or later; LibreSSL and OpenSSL 1 cannot."""
    import subprocess

    ended = subprocess.run([program, "version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    name, _, rest = ended.stdout.decode("ascii", "replace").partition(" ")
    return name == "OpenSSL" and rest.split(".")[0].isdecimal() and int(rest.split(".")[0]) >= 3
