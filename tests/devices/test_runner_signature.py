"""Who signed a bundle, told on the device with whatever it has: cryptography, or openssl."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from moceir_edge.bundling.bundle import bundle
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.bundling.signing import signature_of
from moceir_edge.errors import ArtifactError
from tests.bundling.bundles import DEVICE, assert_refused, run, unpacked
from tests.devices.scripts import runner_script


def public_pem(private: Ed25519PrivateKey) -> bytes:
    """As `openssl pkey -pubout` writes it."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """key.pem, public.pem, and public.pem of somebody else."""
    place, private = tmp_path_factory.mktemp("keys"), Ed25519PrivateKey.generate()
    (place / "key.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (place / "public.pem").write_bytes(public_pem(private))
    (place / "other.pem").write_bytes(public_pem(Ed25519PrivateKey.generate()))
    (place / "text.pem").write_text("nothing of ours\n")
    return place


@pytest.fixture(scope="module")
def signed(made_bundle: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle."""
    path = tmp_path_factory.mktemp("signed") / "signed.tar.gz"
    bundle(made_bundle.parent / "artifact", DEVICE, path, sign=keys / "key.pem")
    return path


def test_a_signed_bundle_passes_with_its_key(signed: Path, keys: Path, tmp_path: Path) -> None:
    """With the key it is signed as required, without one by somebody; another key or none is refused."""
    folder = unpacked(signed, tmp_path)
    assert "signed as required" in run(folder, "check", "--require-signature", keys / "public.pem").stdout
    assert "signed by somebody" in run(folder, "check").stdout
    assert_refused(run(folder, "check", "--require-signature", keys / "other.pem"), "signed by another key than")
    (folder / "signature.json").unlink()
    ended = run(folder, "check", "--require-signature", keys / "public.pem")
    assert_refused(ended, "is not signed, and a signature is required")


def test_what_was_altered_after_signing_is_refused(signed: Path, keys: Path, tmp_path: Path) -> None:
    """The manifest with every hash in it, or the signature."""
    folder = unpacked(signed, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "notes": ["all is well"]}))
    for required in ((), ("--require-signature", keys / "public.pem")):
        assert_refused(run(folder, "check", *required), "was altered after it was signed")
    (folder / "signature.json").write_text('{"public_key": "AAAA", "signature": "?"}')
    assert_refused(run(folder, "check"), "signature.json: damaged")


def test_another_signature_is_refused_before_unpacking(made_bundle: Path, keys: Path, tmp_path: Path) -> None:
    """An unsigned bundle where one is required; keys that are none."""
    cases = {"public": "is not signed", "text": "no public key", "key": "a private key; keep it", "none": "cannot be"}
    for name, says in cases.items():
        with pytest.raises(ArtifactError) as refused:
            open_bundle(made_bundle, tmp_path / "out", public_key=keys / f"{name}.pem")
        assert says in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_openssl_and_the_library_agree(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program checks what the library signed, and refuses what it refuses; without both nothing is known."""
    signature, private = runner_script("signature"), Ed25519PrivateKey.generate()
    message, raw = b"a manifest", private.public_key().public_bytes_raw()
    right = private.sign(message)
    for check in (signature.verified, openssl_of(signature)):
        assert check(raw, right, message) is True
        assert check(raw, right, b"another") is False
        assert check(raw, bytes(64), message) is False
        assert check(Ed25519PrivateKey.generate().public_key().public_bytes_raw(), right, message) is False
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert signature.verified_by_openssl(raw, right, message) is None


def openssl_of(signature: ModuleType) -> object:
    """The way by the program."""
    found = shutil.which("openssl")
    if found is None or not signature.is_new(found):
        pytest.skip("not here: no openssl of 3.0 or later")
    return signature.verified_by_openssl


def test_without_any_means_a_required_signature_is_refused(
    keys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that is not required is told not to have been checked; both say what to install."""
    signature, problem, private = runner_script("signature"), runner_script("problem"), Ed25519PrivateKey.generate()
    (tmp_path / "public.pem").write_bytes(public_pem(private))
    monkeypatch.setattr(signature, "verified", lambda *_: None)
    record = signature_of(b"a manifest", private).model_dump_json().encode()
    assert "nothing here can check that" in signature.checked_signature(b"a manifest", record, None, "bundle")
    with pytest.raises(problem.Problem, match="nothing here can check one; python3 -m pip install cryptography"):
        signature.checked_signature(b"a manifest", record, tmp_path / "public.pem", "bundle")


def test_a_key_in_base64_is_a_key(keys: Path, tmp_path: Path) -> None:
    """As signature.json has it."""
    signature, private = runner_script("signature"), Ed25519PrivateKey.generate()
    (tmp_path / "key").write_text(signature_of(b"", private).public_key + "\n")
    assert signature.read_public_key(tmp_path / "key") == private.public_key().public_bytes_raw()
