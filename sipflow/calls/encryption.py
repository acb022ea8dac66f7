"""How the audio of a leg is encrypted: the trunk's words, and the secrets that one call needs for them."""

import os
from dataclasses import replace
from functools import lru_cache

import structlog

from sipflow.media import dtls
from sipflow.sdp.agreement import SUITES, Agreed, Capabilities, Encryption, Keying, LocalMedia
from sipflow.sdp.crypto import SECRET_BYTES, renewed
from sipflow.sip.hop import Hop
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.calls")

_ENCRYPTED_SIGNALLING = frozenset({"tls", "wss"})
_warned: set[str] = set()  # names of trunks: once each is enough


def encrypted(capabilities: Capabilities, trunk: Trunk | None, hop: Hop) -> Capabilities:
    """Add what a trunk says about encryption; warn once where keys would travel in the open (RFC 4568 §8.1)."""
    if trunk is None or trunk.srtp == "off":
        return capabilities
    if trunk.srtp_keys == "sdes" and hop.transport.lower() not in _ENCRYPTED_SIGNALLING and trunk.name not in _warned:
        _warned.add(trunk.name)
        log.warning(
            "keys of encrypted audio are sent in SIP that is not encrypted: whoever reads it can listen; use TLS",
            trunk=trunk.name,
            transport=hop.transport,
        )
    return encryptable(capabilities, trunk)


def encryptable(capabilities: Capabilities, trunk: Trunk) -> Capabilities:
    """Add what a trunk says about encryption, and warn nobody."""
    return _encrypted(capabilities, trunk.srtp, trunk.srtp_keys, trunk.srtp_suites)


@lru_cache(maxsize=64)  # a configuration has a handful
def _encrypted(capabilities: Capabilities, srtp: str, keys: str, suites: tuple[str, ...]) -> Capabilities:
    return replace(
        capabilities,
        srtp=Encryption(srtp),
        keying=Keying(keys),
        suites=suites or SUITES,
        offered_suites=suites or capabilities.offered_suites,
    )


class LegSecrets:
    """The secrets of one leg's descriptions: drawn when first needed, drawn anew when a key has been left."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._wanted = capabilities.srtp is not Encryption.OFF
        self._dtls = capabilities.keying is Keying.DTLS
        self._key = b""  # with which the stream is sent now

    def provide(self, local: LocalMedia, agreed: Agreed | None, *, offer: bytes = b"") -> LocalMedia:
        """Give our end of a stream with the secrets that its next description needs.

        Args:
            local: our end.
            agreed: what the call has so far.
            offer: what is to be answered, if anything.
        """
        if not self._wanted:
            return local
        key = agreed.srtp.send_key if agreed is not None and agreed.srtp is not None else b""
        if not local.secret or key != self._key:
            keep = agreed.srtp.suite if agreed is not None and agreed.srtp is not None else ""
            local = replace(local, secret=renewed(local.secret, os.urandom(SECRET_BYTES), keep=keep))
            self._key = key
        if local.fingerprint is None and (self._dtls or b"fingerprint:" in offer):
            own = dtls.identity()
            local = replace(local, fingerprint=own.fingerprint if own is not None else None)
        return local
