"""Readers of what comes to the media ports, and of sound files."""

from contextlib import suppress
from functools import cache
from io import BytesIO
from struct import Struct

import numpy as np

from sipflow.audio.codecs import CODECS
from sipflow.audio.codecs.g711 import (
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)
from sipflow.audio.comfort_noise import ComfortNoise, read_noise
from sipflow.audio.wav import WavWriter, read_wav
from sipflow.errors import MediaError, RemoteProtocolError
from sipflow.media.dtls import is_dtls
from sipflow.media.dtls_openssl import Association, Identity, make_identity
from sipflow.rtp.packet import RtpPacket, header, is_rtcp, parse_packet
from sipflow.rtp.reports import Reports, Sent
from sipflow.rtp.rtcp import build_compound, parse_compound
from sipflow.rtp.source import Source
from sipflow.rtp.srtp import SUITES, SrtpSession
from sipflow.rtp.telephone_event import DIGITS, EventReceiver
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint
from tests.fuzz.target import Target

_EVENT = Struct("!HBBBBH")  # RTP timestamp, marker and SSRC; event, flags, duration
_LONGEST_SOUND = 65536


def read_rtp(data: bytes) -> bool:
    """A packet's payload is a piece of it, and written again it reads alike."""
    try:
        packet = parse_packet(data)
    except RemoteProtocolError:
        return False
    assert packet.payload in data[12:]
    again = header(packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.marker)
    assert parse_packet(again + packet.payload) == packet
    return True


def read_rtcp(data: bytes) -> bool:
    """Packets written again read alike; whatever they say ends nothing."""
    reports = Reports(1, "c", clock_rate_hz=8000, now=0.0, draw=0.5)
    source = Source(min_sequential=1)
    believed = reports.receive(data, source, now=1.0, ntp_now=1 << 40)
    try:
        packets = parse_compound(data)
    except RemoteProtocolError:
        assert not believed
        return False
    written = build_compound(packets)
    assert len(written) <= 16 * len(data) + 64  # a broken character is written as three octets
    if written:
        assert build_compound(parse_compound(written)) == written
    reports.compose(source, Sent(0, 0, 0), now=2.0, ntp_now=1 << 41, draw=0.5)
    return True


def tell_apart(data: bytes) -> bool:
    """What comes to a media port is a handshake or not; strangers open no cipher and finish no handshake."""
    if is_dtls(data):
        association = Association(DtlsTerms(False, (Fingerprint("sha-256", bytes(32)),)), _identity().context, ("", 0))
        association.take(data, ("", 0))
        assert not isinstance(association.advance(), SrtpKeys)
        association.waiting()
        association.close()
        return True
    session = SrtpSession(_keys(1, 2))
    opened = session.unprotect_rtcp(data) if is_rtcp(data) else session.unprotect(data)
    assert opened is None
    assert session.unauthentic + session.replayed == 1
    return _protects(data)


def _protects(data: bytes) -> bool:
    """What one side protects, the other opens as it was, once."""
    ours, theirs = SrtpSession(_keys(1, 2)), SrtpSession(_keys(2, 1))
    try:
        protected = ours.protect_rtcp(data) if is_rtcp(data) else ours.protect(data)
    except MediaError:
        return False
    opening = theirs.unprotect_rtcp if is_rtcp(data) else theirs.unprotect
    assert opening(protected) == data
    assert opening(protected) is None
    return True


@cache
def _identity() -> Identity:
    return make_identity()


def _keys(ours: int, theirs: int) -> SrtpKeys:
    name = next(iter(SUITES))
    size = SUITES[name].key_bytes
    return SrtpKeys(name, bytes([ours]) * size, bytes([theirs]) * size)


def hear_events(data: bytes) -> bool:
    """Whatever packets come, a digit is one of sixteen, and the same packet again is no other digit."""
    receiver = EventReceiver()
    digits = ""
    for at in range(0, len(data) - _EVENT.size + 1, _EVENT.size):
        timestamp, source, event, flags, _, duration = _EVENT.unpack_from(data, at)
        payload = bytes([event, flags]) + duration.to_bytes(2, "big")
        packet = RtpPacket(101, source > 127, at & 0xFFFF, timestamp * 160, source % 3, payload[: 5 - (flags & 1)])
        digit = receiver.receive(packet)
        assert digit is None or digit in DIGITS
        if digit is not None:
            digits += digit
            assert receiver.receive(packet) is None
    return bool(digits)


def hear_noise(data: bytes) -> bool:
    """A description of noise is refused in words, or can be listened to."""
    try:
        noise = read_noise(data)
    except RemoteProtocolError:
        return False
    heard = ComfortNoise(8000, np.random.default_rng(1))
    heard.describe(noise)
    assert len(heard.read(160)) == 320
    return True


def read_sound(data: bytes) -> bool:
    """A sound file is refused in words, or gives whole samples, which written again are the same."""
    try:
        sound = read_wav(data)
    except MediaError:
        return False
    assert len(sound.pcm) % 2 == 0
    assert len(sound.pcm) <= 4 * len(data)
    file = BytesIO()
    writer = WavWriter(file, sound.sample_rate_hz)
    writer.write(sound.pcm)
    writer.finish()
    assert read_wav(file.getvalue()) == sound
    return True


def decode(data: bytes) -> bool:
    """Every octet is a sample of G.711; every other codec takes a payload, or refuses it in words."""
    assert decode_ulaw(encode_ulaw(decode_ulaw(data))) == decode_ulaw(data)
    assert decode_alaw(encode_alaw(decode_alaw(data))) == decode_alaw(data)
    accepted = False
    for codec in CODECS:
        decoder = codec.new_decoder()
        with suppress(RemoteProtocolError):
            pcm = decoder.decode(data)
            assert len(pcm) % 2 == 0
            accepted = True
        assert len(decoder.conceal(20, data)) % 2 == 0
    return accepted


TARGETS = {
    "rtp": Target(read_rtp, longest_bytes=2048),
    "rtcp": Target(read_rtcp, longest_bytes=2048),
    "demux": Target(tell_apart, longest_bytes=1600),
    "events": Target(hear_events, longest_bytes=512),
    "comfort_noise": Target(hear_noise, longest_bytes=64),
    "wav": Target(read_sound, ("RIFF", "WAVE", "fmt ", "data"), longest_bytes=_LONGEST_SOUND),
    "codecs": Target(decode, longest_bytes=1500),
}
