import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import PCMA, PCMU, Capabilities, Codec, LocalMedia
from sipflow.sdp.attributes import RtpMap
from sipflow.sdp.choosing import choose, match_codec
from sipflow.sdp.codecs import OPUS
from sipflow.sdp.description import SessionDescription

OURS = LocalMedia("192.0.2.9", 10000, 10001, 1, 1)


def chosen(*media: str, capabilities: Capabilities = Capabilities()) -> tuple[int, int, Codec, int | None]:  # noqa: B008
    choice = choose(described(*media), OURS, capabilities)
    return choice.place, choice.payload_type, choice.codec, choice.events


def described(*media: str) -> SessionDescription:
    lines = "\r\n".join(["v=0", "c=IN IP4 192.0.2.1", *media, ""])
    return SessionDescription.parse(lines.encode())


def refusal(*media: str, capabilities: Capabilities = Capabilities()) -> tuple[str, int]:  # noqa: B008
    with pytest.raises(RemoteProtocolError) as caught:
        choose(described(*media), OURS, capabilities)
    return str(caught.value), caught.value.status


def test_the_offerers_first_codec_that_we_have_is_used() -> None:
    assert chosen("m=audio 4000 RTP/AVP 18 8 0") == (0, 8, PCMA, None)


def test_our_own_order_can_be_preferred() -> None:
    assert chosen("m=audio 4000 RTP/AVP 8 0", capabilities=Capabilities(own_order=True)) == (0, 0, PCMU, None)


def test_codec_names_have_no_case_and_any_number() -> None:
    assert chosen("m=audio 4000 RTP/AVP 99", "a=rtpmap:99 pcmA/8000/1") == (0, 99, PCMA, None)


def test_the_first_audio_that_can_be_used_is_taken() -> None:
    media = [
        "m=video 4000 RTP/AVP 31",
        "m=audio 0 RTP/AVP 0",
        "m=audio 4002 RTP/SAVP 0",
        "m=audio 4004 RTP/AVP 18",
        "m=audio 4006 rtp/avpf 0",
        "m=audio 4008 RTP/AVP 8",
    ]

    assert chosen(*media) == (4, 0, PCMU, None)


def test_telephone_events_have_the_clock_of_the_codec() -> None:
    events = ["a=rtpmap:100 telephone-event/48000", "a=rtpmap:101 Telephone-Event/8000"]

    assert chosen("m=audio 4000 RTP/AVP 0 100 101", *events) == (0, 0, PCMU, 101)
    assert chosen("m=audio 4000 RTP/AVP 0 100", *events) == (0, 0, PCMU, None)


def test_a_codec_of_another_rate_or_more_channels_is_another_codec() -> None:
    codecs = (PCMU, Codec("L16", 8000, channels=2))

    assert [match_codec(RtpMap(96, *rest), codecs) for rest in [("pcmu", 16000, 1), ("PCMU", 8000, 2)]] == [None, None]
    assert match_codec(RtpMap(96, "l16", 8000, 2), codecs) is codecs[1]


def test_opus_may_forget_its_channels_and_nothing_else_may() -> None:
    offered = ["m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 OPUS/48000", "a=rtpmap:97 opus/48000/2"]

    assert chosen(*offered, capabilities=Capabilities((OPUS,))) == (0, 96, OPUS, None)
    assert [match_codec(RtpMap(96, "opus", *rest), (OPUS,)) for rest in [(16000, 2), (48000, 6)]] == [None, None]


def test_the_refusal_of_a_description_has_its_warning_code() -> None:
    codes = {
        ("m=audio 4000 RTP/AVP 18",): 305,
        ("m=video 4000 RTP/AVP 31",): 304,
        ("m=audio 0 RTP/AVP 0",): 304,
        ("m=audio 4000 RTP/SAVP 0",): 302,
        ("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1"): 301,
        ("m=audio 4000 RTP/AVP 0", "c=nonsense"): 399,
        ("m=audio 4000 RTP/AVP 18", "m=audio 4002 RTP/AVP 3"): 305,
    }
    found = {}
    for media in codes:
        with pytest.raises(RemoteProtocolError) as caught:
            choose(described(*media), OURS, Capabilities())
        found[media] = caught.value.warning

    assert found == codes  # RFC 3261 §20.43


def test_nothing_in_common_names_both_sides() -> None:
    media = ["m=audio 4000 RTP/AVP 18 96 13 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000"]

    assert refusal(*media) == (
        "nothing in common: the offer has G729/8000 and opus/48000, this trunk allows PCMU, PCMA",
        488,
    )
    assert refusal("m=audio 4000 RTP/AVP 96 97 65535") == (
        "nothing in common: the offer has no codec we know, this trunk allows PCMU, PCMA",
        488,
    )


def test_a_long_list_of_codecs_is_cut_short() -> None:
    maps = [f"a=rtpmap:{number} {'x' * 60}{number}/8000" for number in range(96, 127)]
    media = ["m=audio 4000 RTP/AVP 3 9 " + " ".join(str(number) for number in range(96, 127)), *maps]

    assert refusal(*media) == (
        f"nothing in common: the offer has GSM/8000, G722/8000 and {'x' * 20}/8000, this trunk allows PCMU, PCMA",
        488,
    )


def test_more_than_eight_codecs_are_counted() -> None:
    maps = [f"a=rtpmap:{number} c{number}/8000" for number in range(96, 107)]
    media = ["m=audio 4000 RTP/AVP " + " ".join(str(number) for number in range(96, 107)), *maps]
    named = ", ".join(f"c{number}/8000" for number in range(96, 104))

    assert refusal(*media) == (
        f"nothing in common: the offer has {named} and 3 more, this trunk allows PCMU, PCMA",
        488,
    )


@pytest.mark.parametrize(
    ("media", "sentence", "status"),
    [
        ([], "no audio: the description has no media", 488),
        (["m=video 1 RTP/AVP 31", "m=image 2 udptl t38"], "no audio: the description has video, image", 488),
        (["m=audio 0 RTP/AVP 0"], "no audio: the peer refused it or switched it off (port 0)", 488),
        (
            ["m=audio 4000 UDP/TLS/RTP/SAVPF 0"],
            "the audio uses UDP/TLS/RTP/SAVPF, this trunk allows unencrypted RTP/AVP only (srtp: off)",
            488,
        ),
        (
            ["m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1"],
            "the audio is at the IPv6 address 2001:db8::1, ours at the IPv4 address 192.0.2.9",
            488,
        ),
        (["m=audio 4000 RTP/AVP 0", "c=nonsense"], "not a connection line: c='nonsense' (RFC 8866 §5.7)", 400),
        (
            ["m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0", "c=nonsense"],
            "none of 2 audio streams can be used: the audio uses RTP/SAVP, this trunk allows unencrypted RTP/AVP only "
            "(srtp: off); not a connection line: c='nonsense' (RFC 8866 §5.7)",
            488,
        ),
    ],
)
def test_why_no_audio_is_used_is_said_for_an_operator(media: list[str], sentence: str, status: int) -> None:
    assert refusal(*media) == (sentence, status)


def test_a_trunk_without_codecs_allows_none() -> None:
    assert refusal("m=audio 4000 RTP/AVP 0", capabilities=Capabilities(codecs=())) == (
        "nothing in common: the offer has PCMU/8000, this trunk allows none",
        488,
    )
