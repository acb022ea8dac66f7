"""Branches, tags and Call-IDs: the only randomness of the SIP core, and it is handed in."""

from collections.abc import Callable

from sipflow.errors import LocalProtocolError
from sipflow.sip.grammar import TOKEN

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 §8.1.1.7
_READ_BYTES = 1024  # one system call for about a hundred ids
_ID_BYTES = 8  # 64 bits: nobody guesses a tag or branch (RFC 3261 §19.3 asks for 32)
_CALL_ID_BYTES = 12


class Ids:
    """Mints identifiers, each with at least 64 unpredictable bits.

    Args:
        source: returns that many random octets, such as `os.urandom`.
        node: short token put in front of every id, so that a stateless front can route by it.

    Raises:
        LocalProtocolError: `node` holds characters that a token may not.
    """

    __slots__ = ("_branch_prefix", "_digits", "_node", "_position", "_source")

    def __init__(self, source: Callable[[int], bytes], node: str = "") -> None:
        if node and TOKEN.fullmatch(node) is None:
            raise LocalProtocolError(f"node {node!r} is not a token (RFC 3261 §25.1)")
        self._source = source
        self._node = node
        self._branch_prefix = MAGIC_COOKIE + node
        self._digits = ""
        self._position = 0

    def branch(self) -> str:
        """Mint a Via branch (RFC 3261 §8.1.1.7)."""
        return self._branch_prefix + self.token()

    def tag(self) -> str:
        """Mint a From or To tag (RFC 3261 §19.3)."""
        return self._node + self.token()

    def call_id(self, host: str = "") -> str:
        """Mint a Call-ID (RFC 3261 §8.1.1.4), `id@host` when a host is given."""
        text = self._node + self.token(_CALL_ID_BYTES)
        return f"{text}@{host}" if host else text

    def token(self, size_bytes: int = _ID_BYTES) -> str:
        """Return `size_bytes` random octets in hexadecimal."""
        end = self._position + 2 * size_bytes
        if end > len(self._digits):
            self._digits = self._source(max(_READ_BYTES, size_bytes)).hex()
            end = 2 * size_bytes
        text = self._digits[end - 2 * size_bytes : end]
        self._position = end
        return text
