"""Secrets at rest: AES-256-GCM, bound to the place where they lie, with a key that can be changed."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from sipflow.errors import StoreError

log = structlog.get_logger("sipflow.store")
_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _ID_BYTES
_NEW_KEY_BYTES = 32


class Cipher:
    """Encrypts with the newest key, decrypts with any.

    Attributes:
        newest: id of the key that encrypts.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        made = [_derived(key) for key in keys]
        self._keys = {_id_of(key): AESGCM(key) for key in made}
        self.newest = _id_of(made[0])

    def encrypt(self, text: str, *, about: str = "") -> bytes:
        """Return `text` encrypted.

        Args:
            text: the secret.
            about: where it will lie, such as `trunks.password:pbx`; it opens with the same words only.
        """
        nonce = os.urandom(_NONCE_BYTES)
        head = _VERSION + self.newest
        return head + nonce + self._keys[self.newest].encrypt(nonce, text.encode(), head + about.encode())

    def decrypt(self, data: bytes, *, about: str = "") -> str:
        """Return the text again.

        Raises:
            StoreError: none of the keys encrypted it, or it is not what was encrypted here.
        """
        from cryptography.exceptions import InvalidTag

        key, head = self._keys.get(self.key_of(data)), data[:_HEAD_BYTES]
        if key is None or data[:1] != _VERSION:
            raise StoreError(
                "a secret in the store was encrypted with another key: give the old key as well (see docs/store.md)"
            )
        nonce, body = data[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES], data[_HEAD_BYTES + _NONCE_BYTES :]
        try:
            return key.decrypt(nonce, body, head + about.encode()).decode()
        except (InvalidTag, ValueError):
            raise StoreError("a secret in the store was changed by somebody else, or damaged") from None

    def is_old(self, data: bytes) -> bool:
        """Whether an older key of ours encrypted `data`."""
        key = self.key_of(data)
        return data[:1] == _VERSION and key != self.newest and key in self._keys

    def key_of(self, data: bytes) -> bytes:
        """Return the id of the key that encrypted `data`."""
        return bytes(data[len(_VERSION) : _HEAD_BYTES])


def own_key(file: Path) -> str:
    """Return the key in `file`, which is made if there is none.

    Raises:
        StoreError: it cannot be read or written.
    """
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    except OSError as error:
        raise StoreError(f"the key of the store cannot be written to {file}: {error.strerror}") from None
    key = os.urandom(_NEW_KEY_BYTES).hex()
    with os.fdopen(made, "w") as stream:
        stream.write(key + "\n")
        stream.flush()
        os.fsync(made)
    log.warning(
        "a key for the secrets in the store was made: keep a copy, without it they cannot be read", file=str(file)
    )
    return key


def _read(file: Path) -> str:
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise StoreError(f"the key of the store in {file} cannot be read: {why}") from None
    if not key:
        raise StoreError(f"the key file {file} is empty: put the key back from your copy of it (see docs/store.md)")
    return key


def _derived(key: str) -> bytes:
    return hashlib.sha256(b"sipflow store key\n" + key.encode()).digest()


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"sipflow store key id\n" + key).digest()[:_ID_BYTES]
