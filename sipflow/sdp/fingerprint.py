"""What binds a DTLS certificate to a description: `a=fingerprint`, `a=setup`, `a=tls-id` (RFC 8122, 4145, 8842)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from sipflow.errors import RemoteProtocolError

DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}  # RFC 8122 §5; MD5 and SHA-1 prove nothing any more
ACTIVE, PASSIVE, ACTPASS, HOLDCONN = "active", "passive", "actpass", "holdconn"  # RFC 4145 §4

_FINGERPRINT = re.compile(
    r"([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,32})[ \t]+([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,127})[ \t]*"
)
_TLS_ID = re.compile(r"[0-9A-Za-z+/\-_]{20,255}")  # RFC 8842 §4


class Fingerprint(NamedTuple):
    """The digest of a certificate (RFC 8122 §5).

    Attributes:
        function: such as "sha-256", in lower case.
        digest: of the certificate's DER octets.
    """

    function: str
    digest: bytes

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read the value of `a=fingerprint`.

        Raises:
            RemoteProtocolError: it is none, or has not the length that its hash function makes (status 400).
        """
        match = _FINGERPRINT.fullmatch(value)
        if match is None:
            raise RemoteProtocolError(f"not a fingerprint: {value[:40]!a} (RFC 8122 §5)")
        function, digest = match[1].lower(), bytes.fromhex(match[2].replace(":", ""))
        if len(digest) != DIGEST_BYTES.get(function, len(digest)):
            raise RemoteProtocolError(f"a {function} fingerprint of {len(digest)} bytes (RFC 8122 §5)")
        return cls(function, digest)

    def __str__(self) -> str:
        return f"{self.function} {self.digest.hex(':').upper()}"


@dataclass(frozen=True, slots=True)
class DtlsTerms:
    """What both sides settled on for a DTLS handshake, which makes the keys of the stream (RFC 5763 §5).

    Attributes:
        active: we begin it.
        fingerprints: of the certificates that the peer may show, at least one.
        tls_id: names the peer's association, "" where it names none; another one is another handshake (RFC 8842 §5).
        offered: whether the peer's offer says so, to whom our answer is still on its way.
    """

    active: bool
    fingerprints: tuple[Fingerprint, ...]
    tls_id: str = ""
    offered: bool = field(default=False, compare=False)

    def same_association(self, other: "DtlsTerms") -> bool:
        """Whether these terms keep the association that `other` made, whoever began it (RFC 8842 §4)."""
        return (self.fingerprints, self.tls_id) == (other.fingerprints, other.tls_id)


def read_fingerprints(attributes: Iterable[tuple[str, str]]) -> tuple[tuple[Fingerprint, ...], list[str]]:
    """Read every fingerprint that proves something, in any order, and sentences about the others."""
    found, wrong = set(), []
    for name, value in attributes:
        if name == "fingerprint":
            try:
                fingerprint = Fingerprint.parse(value)
            except RemoteProtocolError as error:
                wrong.append(str(error))
                continue
            if fingerprint.function in DIGEST_BYTES:
                found.add(fingerprint)
            else:
                wrong.append(f"a {fingerprint.function} fingerprint proves nothing; sha-256 is needed")
    return tuple(sorted(found)), wrong


def read_setup(value: str | None, *, default: str) -> str:
    """Read the value of `a=setup` (RFC 4145 §4).

    Raises:
        RemoteProtocolError: it is none (status 400).
    """
    setup = default if value is None else value.strip().lower()
    if setup not in (ACTIVE, PASSIVE, ACTPASS, HOLDCONN):
        raise RemoteProtocolError(f"not a role for DTLS: a=setup:{setup[:20]!a} (RFC 4145 §4)")
    return setup


def read_tls_id(value: str | None) -> str:
    """Read the value of `a=tls-id`, "" when it is none or absent (RFC 8842 §4)."""
    return value if value is not None and _TLS_ID.fullmatch(value) is not None else ""
