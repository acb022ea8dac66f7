"""The arithmetic of digest authentication (RFC 7616 §3.4.1 to §3.4.3), shared by both sides."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple


class Algorithm(NamedTuple):
    """One way to compute a digest.

    Attributes:
        name: as RFC 7616 §3.3 writes it.
        session: whether A1 is bound to the first nonce and cnonce (the `-sess` forms).
        hash_hex: lower-case hexadecimal hash of some octets.
        hex_digits: how many digits `hash_hex` returns.
    """

    name: str
    session: bool
    hash_hex: Callable[[bytes], str]
    hex_digits: int

    @property
    def is_md5(self) -> bool:
        """Whether it is MD5 in either form, which RFC 8760 §2.1 keeps for old peers only."""
        return self.hex_digits == 32


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()  # FIPS builds refuse MD5 otherwise


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    return hashlib.new("sha512_256", data).hexdigest()


def _known() -> dict[str, Algorithm]:
    hashes = [("SHA-512-256", _sha512_256, 64), ("SHA-256", _sha256, 64), ("MD5", _md5, 32)]
    if "sha512_256" not in hashlib.algorithms_available:  # an OpenSSL built without it
        del hashes[0]
    forms = [
        Algorithm(name + suffix, bool(suffix), hash_hex, digits)
        for name, hash_hex, digits in hashes
        for suffix in ("", "-sess")
    ]
    return {form.name.lower(): form for form in forms}


ALGORITHMS = _known()
"""By name in lower case, strongest first."""


def find_algorithm(name: str | None) -> Algorithm | None:
    """Find an algorithm by name in any case; None means MD5 (RFC 7616 §3.3). Returns None when we do not know it."""
    return ALGORITHMS.get("md5" if name is None else name.lower())


def octets(text: str) -> bytes:
    """Encode for hashing: UTF-8 (RFC 7616 §4), and octets that were not UTF-8 as they came."""
    return text.encode("utf-8", "surrogateescape")


def hash_secret(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """Hash name, realm and password: H(A1) of the forms without `-sess` (RFC 7616 §3.4.2)."""
    return algorithm.hash_hex(octets(f"{username}:{realm}:{password}"))


def hash_a1(algorithm: Algorithm, secret_hash: str, nonce: str, cnonce: str) -> str:
    """Bind `hash_secret` to the session if the algorithm asks for that: H(A1) (RFC 7616 §3.4.2)."""
    return algorithm.hash_hex(octets(f"{secret_hash}:{nonce}:{cnonce}")) if algorithm.session else secret_hash


def request_digest(
    algorithm: Algorithm,
    a1_hash: str,
    *,
    method: str,
    uri: str,
    body: bytes,
    nonce: str,
    qop: str,
    nc: str,
    cnonce: str,
) -> str:
    """Compute `response` (RFC 7616 §3.4.1); with `qop` "" as RFC 2069 §2.1.2 did, without counter."""
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 = f"{a2}:{algorithm.hash_hex(body)}"  # RFC 7616 §3.4.3
    a2_hash = algorithm.hash_hex(octets(a2))
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return algorithm.hash_hex(octets(f"{a1_hash}:{middle}:{a2_hash}"))
