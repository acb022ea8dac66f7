"""What audio a call would have, in sentences."""

from dataclasses import replace

import pytest

from sipflow.calls.audio_steps import Audio, AudioSteps
from sipflow.calls.explain import hop_of, plain_invite
from sipflow.errors import RemoteProtocolError
from sipflow.net.acl import Networks
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.parser import parse_datagram
from sipflow.trunks.trunk import Trunk

TRUNK = Trunk("a", accept_from=Networks(["10.0.0.0/8"]))
HOP = hop_of("10.0.0.9")
KEYS = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
FINGERPRINT = b"a=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\na=setup:actpass\r\n"


def found(trunk: Trunk = TRUNK, hop: Hop = HOP, *changes: tuple[bytes, bytes]) -> Audio:
    text = plain_invite("1", hop, "caller")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    head, _, body = text.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    request = parse_datagram(b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body)
    assert isinstance(request, Request)
    return AudioSteps().of(request, hop, trunk)


def said(audio: Audio) -> list[str]:
    return [text for text, _ in audio.said]


def test_order_of_the_trunk_counts_where_it_names_codecs() -> None:
    audio = found(replace(TRUNK, codecs=("PCMA", "PCMU")))

    assert audio.codec == "PCMA"
    assert said(audio)[0].endswith("trunk a allows PCMA, PCMU, and ours counts")


def test_call_without_media_is_said_to_be_silent_until_there_are_some() -> None:
    offer = plain_invite("1", HOP, "caller").partition(b"\r\n\r\n")[2]

    audio = found(TRUNK, HOP, (offer[offer.index(b"m=") :], b""))

    assert audio == Audio("", (("the INVITE has no medium: the call is silent until a re-INVITE brings one", True),))


@pytest.mark.parametrize(
    ("dtmf", "events", "sentence"),
    [
        ("auto", True, "digits go as events in RTP (RFC 4733), payload type 101"),
        ("auto", False, "digits go as tones in the audio, and are listened for there"),
        ("inband", True, "digits go as tones in the audio, and are listened for there"),
        ("info", True, "digits go in SIP INFO (trunks.a.dtmf: info)"),
        ("rfc4733", False, "the caller takes no digits as events, and trunk a sends them in no other way"),
    ],
)
def test_way_of_digits_is_told(dtmf: str, events: bool, sentence: str) -> None:
    changes = () if events else ((b"telephone-event/8000", b"x/8000"),)

    assert sentence in said(found(replace(TRUNK, dtmf=dtmf), HOP, *changes))


def test_keys_in_sdp_over_udp_are_good_for_nobody() -> None:
    audio = found(replace(TRUNK, srtp="optional"), HOP, (b"a=fmtp", KEYS + b"a=fmtp"))
    secure = found(replace(TRUNK, srtp="optional"), hop_of("tls:10.0.0.9"), (b"a=fmtp", KEYS + b"a=fmtp"))

    named = "the audio is encrypted: AES_CM_128_HMAC_SHA1_80, with keys in SDP"
    assert (f"{named}, which came over udp: whoever reads that can listen; use TLS", False) in audio.said
    assert (named, True) in secure.said
    assert "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" not in repr((audio, secure))


def test_handshake_is_told_from_keys() -> None:
    audio = found(
        replace(TRUNK, srtp="required"), HOP, (b"RTP/AVP", b"UDP/TLS/RTP/SAVP"), (b"a=fmtp", FINGERPRINT + b"a=fmtp")
    )

    assert ("the audio is encrypted, with keys of a DTLS handshake", True) in audio.said


def test_encryption_that_is_required_and_missing_is_488() -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        found(replace(TRUNK, srtp="required"))

    assert refused.value.status == 488


def test_empty_invite_gets_our_offer() -> None:
    request = Request("INVITE", "sip:1@edge")

    assert AudioSteps().of(request, HOP, TRUNK) == Audio(
        "", (("the INVITE offers no audio: we offer PCMU, PCMA, and the caller chooses", True),)
    )


def test_call_on_hold_and_one_behind_nat_are_told() -> None:
    far = hop_of("198.51.100.7")
    audio = found(
        TRUNK, far, (b"IP4 198.51.100.7\r\nt=0 0", b"IP4 192.168.1.5\r\nt=0 0"), (b"a=fmtp", b"a=sendonly\r\na=fmtp")
    )

    assert "the call begins on hold: the caller wants to hear nothing yet" not in said(found())
    assert any(text.startswith("the call begins on hold") for text in said(audio))
    assert any(text.startswith("its SDP names 192.168.1.5, an address of its own network") for text in said(audio))


def test_host_that_is_named_is_said_to_be_answered_where_its_audio_comes_from() -> None:
    audio = found(TRUNK, HOP, (b"IP4 10.0.0.9\r\nt=0 0", b"IP4 media.example.com\r\nt=0 0"))

    assert any(text.startswith("its SDP names a host, which is not looked up") for text in said(audio))


def test_stream_that_is_broken_beside_the_good_one_hides_nothing() -> None:
    audio = found(TRUNK, HOP, (b"a=fmtp:101 0-15\r\n", b"a=fmtp:101 0-15\r\nm=audio 40002 RTP/AVP x\r\n"))

    assert audio.codec == "PCMU"


def test_long_offer_is_cut_short() -> None:
    numbers = b" ".join(b"%d" % number for number in range(102, 122))
    maps = b"".join(b"a=rtpmap:%d C%d/8000\r\n" % (number, number) for number in range(102, 122))
    audio = found(TRUNK, HOP, (b"0 8 101", b"0 8 101 " + numbers), (b"a=fmtp", maps + b"a=fmtp"))

    assert "C110, 11 more;" in said(audio)[0]
