"""SRTP and SRTCP: packets enciphered and authenticated with keys agreed elsewhere (RFC 3711, 6188, 7714), by libsrtp.

pylibsrtp's own `Session` is not used: it has no AES-256 in counter mode, tells failures by exceptions without numbers,
and costs half as much again per packet. What is used is the interface to libsrtp below it.
"""

from typing import Any, NamedTuple, Protocol

from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]  # compiled, without stubs

from sipflow.errors import MediaError

PACKET_BYTES = 2048  # the longest packet that is taken: more than fits an Ethernet frame

_TRAILER_BYTES = 4 + 16 + 128  # libsrtp's SRTP_MAX_SRTCP_TRAILER_LEN: index, tag, MKI
_WINDOW_PACKETS = 128  # replay window: RFC 3711 §3.3.2 wants 64 at least
_REPLAYED = frozenset({9, 10})  # srtp_err_status_replay_fail, srtp_err_status_replay_old
_UNREADABLE = 1  # srtp_err_status_fail

_KNOWN = len(ffi.typeof(lib.srtp_protect).args) == 3  # libsrtp 2: context, packet, length; libsrtp 3 has more
_protect, _protect_rtcp = lib.srtp_protect, lib.srtp_protect_rtcp
_unprotect, _unprotect_rtcp = lib.srtp_unprotect, lib.srtp_unprotect_rtcp


class Suite(NamedTuple):
    """How packets are protected.

    Attributes:
        profile: libsrtp's number for it, or for the one with a shorter key that it is made from.
        key_bytes: of the master key with the master salt behind it.
        tag_bytes: of an RTP packet's authentication tag.
        aead: the tag belongs to the cipher text, and everything else follows it (RFC 7714 §8, §9).
        wide: AES-256 in counter mode (RFC 6188), for which libsrtp has a policy but no profile.
    """

    profile: int
    key_bytes: int
    tag_bytes: int
    aead: bool = False
    wide: bool = False


SUITES = {
    "AES_CM_128_HMAC_SHA1_80": Suite(lib.srtp_profile_aes128_cm_sha1_80, 30, 10),
    "AES_CM_128_HMAC_SHA1_32": Suite(lib.srtp_profile_aes128_cm_sha1_32, 30, 4),
    "AES_256_CM_HMAC_SHA1_80": Suite(lib.srtp_profile_aes128_cm_sha1_80, 46, 10, wide=True),
    "AES_256_CM_HMAC_SHA1_32": Suite(lib.srtp_profile_aes128_cm_sha1_80, 46, 4, wide=True),
    "AEAD_AES_128_GCM": Suite(lib.srtp_profile_aead_aes_128_gcm, 28, 16, aead=True),
    "AEAD_AES_256_GCM": Suite(lib.srtp_profile_aead_aes_256_gcm, 44, 16, aead=True),
}  # by the names of SDP (RFC 4568 §6.2, RFC 6188 §6, RFC 7714 §14.2)
_RTCP_TAG_BYTES = 10  # RFC 4568 §6.2: with the 32-bit suites too
_RTCP_INDEX_BYTES = 4  # RFC 3711 §3.4: with the bit that says whether it is enciphered


class Keys(Protocol):
    """What both sides settled on; `sdp.agreement.SrtpKeys` is one."""

    @property
    def suite(self) -> str:
        """One of SUITES."""

    @property
    def send_key(self) -> bytes:
        """Master key and master salt of what we send."""

    @property
    def receive_key(self) -> bytes:
        """Master key and master salt of what the peer sends."""

    @property
    def receive_mki(self) -> bytes:
        """What names the peer's key in every packet of the peer's (RFC 3711 §3.1); empty for nothing."""


class SrtpSession:
    """Protects what one call sends, and unprotects what it receives: any SSRC, each with its own roll-over counter.

    Attributes:
        unauthentic: packets that were dropped: made with another key, changed on their way, or no SRTP at all.
        replayed: packets that were dropped because they had come before, or are older than the replay window.
    """

    __slots__ = ("_former", "_keys", "_receiver", "_sender", "replayed", "unauthentic")

    def __init__(self, keys: Keys) -> None:
        """Begin with roll-over counters at zero.

        Raises:
            MediaError: the suite is unknown, a key has not its length, or this libsrtp is another than the one we know.
        """
        suite = _suite(keys)
        self._keys = keys
        self._sender = _Context(suite, keys.send_key, lib.ssrc_any_outbound)
        self._receiver = _Context(suite, keys.receive_key, lib.ssrc_any_inbound, keys.receive_mki)
        self._former: _Context | None = None
        self.unauthentic = self.replayed = 0

    def rekey(self, keys: Keys) -> None:
        """Take what was agreed again, as in a re-INVITE.

        A direction whose key is the same goes on as it was, roll-over counter and replay window included; one with
        another key begins anew (RFC 3711 §3.3.1, RFC 4568 §7.1.4). Packets under the peer's former key still pass
        until the first one under the new key has come.

        Raises:
            MediaError: as when it was made; nothing has changed then.
        """
        suite, was = _suite(keys), self._keys
        sender, receiver, former = self._sender, self._receiver, self._former
        if (keys.suite, keys.send_key) != (was.suite, was.send_key):
            sender = _Context(suite, keys.send_key, lib.ssrc_any_outbound)
        if (keys.suite, keys.receive_key, keys.receive_mki) != (was.suite, was.receive_key, was.receive_mki):
            former = receiver
            receiver = _Context(suite, keys.receive_key, lib.ssrc_any_inbound, keys.receive_mki)
        self._keys, self._sender, self._receiver, self._former = keys, sender, receiver, former

    def protect(self, packet: bytes) -> bytes:
        """Make an SRTP packet of an RTP packet.

        Raises:
            MediaError: it is longer than PACKET_BYTES, is no RTP packet, or its sequence number was sent before.
        """
        protected = self._sender.process(_protect, packet)
        return protected if isinstance(protected, bytes) else _refuse(packet, protected)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Make an SRTCP packet of a compound RTCP packet.

        Raises:
            MediaError: it is longer than PACKET_BYTES, or is no RTCP packet.
        """
        protected = self._sender.process(_protect_rtcp, packet)
        return protected if isinstance(protected, bytes) else _refuse(packet, protected)

    def unprotect(self, packet: bytes) -> bytes | None:
        """Make an RTP packet of an SRTP packet; None for one that is to be dropped, which is counted."""
        receiver = self._receiver
        found = receiver.process(_unprotect, receiver.without_mki(packet) if receiver.mki else packet)
        if isinstance(found, bytes):
            self._former = None
            return found
        return self._failed(_unprotect, packet, found)

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Make a compound RTCP packet of an SRTCP packet; None for one that is to be dropped, which is counted."""
        receiver = self._receiver
        found = receiver.process(_unprotect_rtcp, receiver.without_mki(packet, rtcp=True) if receiver.mki else packet)
        return found if isinstance(found, bytes) else self._failed(_unprotect_rtcp, packet, found)

    def _failed(self, function: Any, packet: bytes, status: object) -> bytes | None:
        """Try the key that the peer had before; count what no key of the peer's has made."""
        former = self._former
        if former is not None:
            whole = former.without_mki(packet, rtcp=function is _unprotect_rtcp) if former.mki else packet
            found = former.process(function, whole)
            if isinstance(found, bytes):
                return found
        if status in _REPLAYED:
            self.replayed += 1
        else:
            self.unauthentic += 1
        return None


class _Context:
    """One direction: libsrtp's state, and the buffer in which packets are changed.

    Attributes:
        mki: what stands in every packet besides, and is taken away before libsrtp sees it; it is not authenticated.
    """

    __slots__ = ("_buffer", "_length", "_owner", "_srtp", "_suite", "_view", "mki")

    def __init__(self, suite: Suite, key: bytes, ssrc_type: int, mki: bytes = b"") -> None:
        self.mki = mki
        self._suite = suite
        secret, made = ffi.new("unsigned char[]", len(key)), ffi.new("srtp_t *")
        ffi.memmove(secret, key, len(key))
        policy = _policy(suite)
        policy.key = secret
        policy.ssrc.type = ssrc_type
        policy.window_size = _WINDOW_PACKETS
        status = lib.srtp_create(made, policy)
        ffi.memmove(secret, bytes(len(key)), len(key))
        if status:
            raise MediaError(f"libsrtp does not take the keys of this call (status {status})")
        self._owner = ffi.gc(made, _release)
        self._srtp = made[0]
        self._buffer = ffi.new("char[]", PACKET_BYTES + _TRAILER_BYTES)
        self._view = ffi.buffer(self._buffer)
        self._length = ffi.new("int *")

    def process(self, function: Any, packet: bytes) -> bytes | int:
        """Let libsrtp change a packet: the changed packet, or the status that says why it would not."""
        size, length = len(packet), self._length
        if size > PACKET_BYTES:
            return _UNREADABLE
        length[0] = size
        self._view[:size] = packet
        return function(self._srtp, self._buffer, length) or self._view[: length[0]]  # type: ignore[no-any-return]

    def without_mki(self, packet: bytes, *, rtcp: bool = False) -> bytes:
        """Take the MKI out of a packet (RFC 3711 §3.1, §3.4, RFC 7714 §8.2, §9.2); empty if it is not there."""
        tag = 0 if self._suite.aead else _RTCP_TAG_BYTES if rtcp else self._suite.tag_bytes
        end = len(packet) - tag
        return packet[: end - len(self.mki)] + packet[end:] if packet[:end].endswith(self.mki) else b""


def _suite(keys: Keys) -> Suite:
    if not _KNOWN:
        raise MediaError("audio cannot be encrypted with this version of pylibsrtp; version 1 works")
    suite = SUITES.get(keys.suite)
    if suite is None:
        raise MediaError(f"{keys.suite!r} is no SRTP suite of ours; they are {', '.join(SUITES)}")
    for key in (keys.send_key, keys.receive_key):
        if len(key) != suite.key_bytes:
            raise MediaError(f"an SRTP key of {len(key)} bytes was agreed; {keys.suite} takes {suite.key_bytes}")
    return suite


def _policy(suite: Suite) -> Any:
    """Make libsrtp's description of a suite."""
    policy = ffi.new("srtp_policy_t *")
    rtp, rtcp = ffi.addressof(policy, "rtp"), ffi.addressof(policy, "rtcp")
    lib.srtp_crypto_policy_set_from_profile_for_rtp(rtp, suite.profile)
    lib.srtp_crypto_policy_set_from_profile_for_rtcp(rtcp, suite.profile)
    if suite.wide:
        for part, tag_bytes in ((rtp, suite.tag_bytes), (rtcp, _RTCP_TAG_BYTES)):
            _widen(part, suite.key_bytes, tag_bytes)
    return policy


# srtp_crypto_policy_t is six numbers: cipher, its key with salt, authentication, its key, the tag, what is to be done.
_AES_128_POLICY = [1, 30, 3, 20, 10, 3]  # SRTP_AES_ICM_128, SRTP_HMAC_SHA1, sec_serv_conf_and_auth
_AES_ICM_256 = 5


def _widen(policy: Any, key_bytes: int, tag_bytes: int) -> None:
    """Turn the policy of AES-128 in counter mode into that of AES-256: pylibsrtp has no name for it, libsrtp has it.

    Raises:
        MediaError: this libsrtp lays its policies out in another way.
    """
    fields = ffi.cast("int *", policy)
    if ffi.sizeof(policy[0]) != 24 or list(fields[0:6]) != _AES_128_POLICY:
        raise MediaError("AES-256 in counter mode does not work with this version of pylibsrtp; try another suite")
    fields[0], fields[1], fields[4] = _AES_ICM_256, key_bytes, tag_bytes


def _release(made: Any) -> None:
    lib.srtp_dealloc(made[0])


def _refuse(packet: bytes, status: object) -> bytes:
    raise MediaError(f"libsrtp cannot protect a packet of {len(packet)} bytes (status {status})")
