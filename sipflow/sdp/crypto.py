"""The SDP attribute that carries SRTP keys: `a=crypto` (RFC 4568), strict in, canonical out."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from sipflow.errors import RemoteProtocolError

# Octets of master key and master salt (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §12).
KEY_BYTES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
SECRET_BYTES = sum(KEY_BYTES.values())  # random octets from which each suite has a key of its own

_ALIASES = {  # as libsrtp names its policies, and FreeSWITCH and its descendants write them in SDP
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}
_CRYPTO = re.compile(  # RFC 4568 §9.1
    r"([0-9]{1,9})[ \t]+([0-9A-Za-z_]{1,64})[ \t]+([!-~]{1,2048})((?:[ \t]+[!-~]{1,256}){0,16})[ \t]*"
)
_INLINE = re.compile(  # RFC 4568 §9.2
    r"(?i:inline):([0-9A-Za-z+/]{4,172}={0,2})(?:\|(?:2\^([0-9]{1,2})|([0-9]{1,15})))?(?:\|([0-9]{1,39}):([0-9]{1,3}))?"
)
_HARMLESS = re.compile(r"-.*|(?i:WSH)=[0-9]{1,9}|(?i:KDR)=0")  # RFC 4568 §6.3: what may be passed over
_NAME = re.compile(r"[=:]")  # where the name of a session parameter ends
_LONGEST_LIFETIME = 2**48  # RFC 3711 §9.2
_LONGEST_MKI_BYTES = 16  # RFC 4568 §6.1 allows 128


@dataclass(frozen=True, slots=True)
class CryptoKey:
    """One key of an `a=crypto` line (RFC 4568 §6.1); appears in no repr.

    Attributes:
        key: master key with the master salt behind it.
        lifetime_packets: after so many its owner takes another one; None where it does not say.
        mki: what names it in packets, empty for nothing.
    """

    key: bytes = field(repr=False)
    lifetime_packets: int | None = None
    mki: bytes = b""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `inline:...`; an error never repeats it.

        Raises:
            RemoteProtocolError: it is none (status 400).
        """
        match = _INLINE.fullmatch(text)
        if match is None:
            raise RemoteProtocolError("an a=crypto line has a key that cannot be read (RFC 4568 §9.2)")
        lifetime = 2 ** int(match[2]) if match[2] else int(match[3]) if match[3] else None
        if lifetime is not None and not 0 < lifetime <= _LONGEST_LIFETIME:
            raise RemoteProtocolError("an a=crypto line has a key with a lifetime over 2^48 packets (RFC 3711 §9.2)")
        return cls(_decoded(match[1]), lifetime, _mki(match[4], match[5]) if match[4] else b"")

    def __str__(self) -> str:
        lifetime = f"|{self.lifetime_packets}" if self.lifetime_packets is not None else ""
        mki = f"|{int.from_bytes(self.mki, 'big')}:{len(self.mki)}" if self.mki else ""
        return f"inline:{b64encode(self.key).decode()}{lifetime}{mki}"


@dataclass(frozen=True, slots=True)
class Crypto:
    """An `a=crypto` line: one way to protect a stream, with the keys of whoever wrote it (RFC 4568 §4).

    Attributes:
        tag: by which an answer says which line it takes.
        name: of the suite, as written.
        keys: one, or several that packets choose among by their MKI.
        parameters: session parameters, as written (RFC 4568 §6.3).
    """

    tag: int
    name: str
    keys: tuple[CryptoKey, ...]
    parameters: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read the value of `a=crypto`; an error never repeats it.

        Raises:
            RemoteProtocolError: it is none, or its key has not the length that its suite wants (status 400).
        """
        match = _CRYPTO.fullmatch(value)
        if match is None:
            raise RemoteProtocolError("an a=crypto line cannot be read (RFC 4568 §9.1)")
        found = cls(int(match[1]), match[2], tuple(map(CryptoKey.parse, match[3].split(";"))), tuple(match[4].split()))
        wanted = KEY_BYTES.get(found.suite)
        for key in found.keys:
            if wanted is not None and len(key.key) != wanted:
                raise RemoteProtocolError(f"a=crypto has a key of {len(key.key)} bytes, {found.name} takes {wanted}")
        return found

    def __str__(self) -> str:
        return " ".join([str(self.tag), self.name, ";".join(map(str, self.keys)), *self.parameters])

    @property
    def suite(self) -> str:
        """The suite by its registered name, where it has one."""
        name = self.name.upper()
        return _ALIASES.get(name, name)

    def why_not(self, suites: Iterable[str]) -> str:
        """Say why we cannot use it, "" if we can."""
        if self.suite not in suites:
            return self.name
        unknown = [text for text in self.parameters if _HARMLESS.fullmatch(text) is None]
        if unknown:  # RFC 4568 §6.3: such as UNENCRYPTED_SRTP, which nobody who wants encryption can want
            return f"{self.name} with {_NAME.split(unknown[0])[0][:32]}"  # what follows may be a key (FEC_KEY)
        return f"{self.name} with {len(self.keys)} keys" if len(self.keys) > 1 else ""


def read_cryptos(attributes: Iterable[tuple[str, str]]) -> tuple[list[Crypto], list[str]]:
    """Read every `a=crypto` of a medium: those that can be read, and sentences about the others."""
    found, wrong = [], []
    for name, value in attributes:
        if name == "crypto":
            try:
                found.append(Crypto.parse(value))
            except RemoteProtocolError as error:
                wrong.append(str(error))
    return found, wrong


def own_crypto(tag: int, name: str, secret: bytes) -> Crypto:
    """Give our line for a suite: the same secret gives the same key for the same suite, and to each suite another."""
    return Crypto(tag, name, (CryptoKey(own_key(name, secret)),))


def own_key(name: str, secret: bytes) -> bytes:
    """Cut our key for a suite out of SECRET_BYTES random octets."""
    start, end = _place(name)
    return secret[start:end]


def renewed(secret: bytes, fresh: bytes, *, keep: str = "") -> bytes:
    """Give `fresh` with the key of one suite kept from `secret`.

    A key that was left and is taken up again would protect other packets under the same packet numbers, which breaks
    it (RFC 3711 §9.1); so what is not in use is drawn anew when that which is in use changes.
    """
    if not keep:
        return fresh
    start, end = _place(keep)
    return fresh[:start] + secret[start:end] + fresh[end:]


def _place(name: str) -> tuple[int, int]:
    suite = _ALIASES.get(name.upper(), name.upper())
    names = list(KEY_BYTES)
    start = sum(KEY_BYTES[before] for before in names[: names.index(suite)])
    return start, start + KEY_BYTES[suite]


def _decoded(text: str) -> bytes:
    """Decode Base64; some leave out the padding."""
    bare = text.rstrip("=")
    if len(bare) % 4 == 1:
        raise RemoteProtocolError("an a=crypto line has a key that is no Base64 (RFC 4568 §6.1)")
    return b64decode(bare + "=" * (-len(bare) % 4))


def _mki(value: str, size: str) -> bytes:
    number, length = int(value), int(size)
    if not 0 < length <= _LONGEST_MKI_BYTES or number >= 256**length:
        raise RemoteProtocolError("an a=crypto line has an MKI that does not fit its length (RFC 4568 §6.1)")
    return number.to_bytes(length, "big")
