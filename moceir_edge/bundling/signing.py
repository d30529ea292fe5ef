"""Ed25519 signatures of bundles, by the library `cryptography`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from moceir_edge.bundling.manifest import Signature
from moceir_edge.errors import InputError, MissingBackendError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

REPAIR = "pip install 'moceir-edge[sign]'"
HOW = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file; InputError where it holds none of Ed25519."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise MissingBackendError("cryptography is not installed, and it signs bundles", REPAIR) from error
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", HOW) from error
    except TypeError as error:
        raise InputError(f"{path}: is encrypted", f"give a key without a passphrase, or {HOW}") from error
    except ValueError as error:
        raise InputError(f"{path}: no private key in PEM", HOW) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"{path}: a key, but none of Ed25519", HOW)
    return private


def signature_of(data: bytes, private: Ed25519PrivateKey) -> Signature:
    """The signature of `data`, with the public key that proves it."""
    return Signature(
        public_key=base64.b64encode(private.public_key().public_bytes_raw()).decode(),
        signature=base64.b64encode(private.sign(data)).decode(),
    )
