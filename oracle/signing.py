"""Signatures over the manifest, in the format of minisign (Ed25519): made, and checked.

The manifest names every file with its hash, so a signature over it is one over the site.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

import minisign

from oracle.errors import RequestError, SettingsError
from oracle.verify.finding import Finding

PRIVATE = 0o600
MAX_KEY_BYTES = 1_000
MAKE_ONE = "oracle keygen makes one"
NO_TRUST = "do not trust this site before its publisher has told you, by another way, what changed"


class Keys(NamedTuple):
    """What `oracle keygen` made: where the secret key lies, and the public key as text."""

    secret_path: Path
    public_path: Path
    public_key: str


class Signer:
    """Signs with a secret key; `public_key` is what others verify with."""

    def __init__(self, path: Path) -> None:
        """Read the secret key.

        Raises:
            SettingsError: it cannot be read, is none, or others can read it, too.
        """
        self._key = _secret_key(path)
        self.public_key = self._key.get_public_key().to_base64().decode()

    def sign(self, data: bytes, comment: str) -> bytes:
        """Return the signature file over some bytes; the comment is signed, too."""
        signature = self._key.sign(data, trusted_comment=comment)
        return bytes(signature) + b"\n"


def _secret_key(path: Path) -> minisign.SecretKey:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()[:MAX_KEY_BYTES]
    except OSError as error:
        raise _unusable(f"{path} cannot be read ({error.strerror}); {MAKE_ONE}") from error
    if mode & 0o077:
        raise _unusable(f"{path} can be read by others ({mode:o}): chmod 600 it")
    try:
        key = minisign.SecretKey.from_bytes(data)
        is_encrypted = key.is_encrypted()
    except ValueError as error:
        raise _unusable(f"{path} is no minisign secret key; {MAKE_ONE}") from error
    if is_encrypted:
        raise _unusable(
            f"{path} needs a password, which no timer can type: take it off with "
            f"minisign -C -W -s {path}"
        )
    return key


def _unusable(reason: str) -> SettingsError:
    return SettingsError([f"ORACLE_SIGNING_KEY: {reason}"])


def make_keys(path: Path) -> Keys:
    """Make a new pair of keys: the secret one at a path, the public one beside it.

    Raises:
        RequestError: there is a file already, or none can be written.
    """
    public_path = path.with_suffix(".pub")
    pair = minisign.KeyPair.generate()
    public_key = pair.public_key.to_base64().decode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, bytes(pair.secret_key) + b"\n", PRIVATE)
        _write_new(public_path, bytes(pair.public_key) + b"\n", 0o644)
    except FileExistsError as error:
        raise RequestError(
            f"{error.filename} exists, and a key is never written over: move it away, or name "
            "another file"
        ) from error
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from error
    return Keys(path, public_path, public_key)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)


def read_public_key(key: str) -> minisign.PublicKey:
    """Return a public key from its text, or from a file that holds it.

    Raises:
        RequestError: it is none.
    """
    path = Path(key)
    try:
        if path.is_file():
            return minisign.PublicKey.from_bytes(path.read_bytes()[:MAX_KEY_BYTES])
        return minisign.PublicKey.from_base64(key)
    except (ValueError, OSError) as error:
        raise RequestError(
            f"{key[:80]} is no minisign public key and no file of one: it begins with RW and has "
            "56 characters"
        ) from error


def check_signature(
    data: bytes, signature: bytes | None, key: str, place: str = "api/manifest.json.minisig"
) -> list[Finding]:
    """Return what is wrong with the signature over some bytes: nothing, when it is the key's.

    Raises:
        RequestError: the key is none.
    """
    public_key = read_public_key(key)
    if signature is None:
        return [Finding(place, "absent", "a signature over the manifest", NO_TRUST)]
    try:
        public_key.verify(data, minisign.Signature.from_bytes(signature))
    except ValueError as error:
        return [Finding(place, f"not valid ({error})", f"a signature by {key[:80]}", NO_TRUST)]
    return []
