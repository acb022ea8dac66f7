from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import Agreed, Capabilities, Encryption, LocalMedia
from sipflow.sdp.attributes import INACTIVE, SENDONLY, SENDRECV, Direction
from sipflow.sdp.codecs import G722, OPUS
from sipflow.sdp.crypto import SECRET_BYTES
from sipflow.sdp.offer_answer import PCMA, PCMU, answer_offer, make_offer, read_answer
from sipflow.sdp.repeated import Remembered, plain

SECRET = bytes(SECRET_BYTES)
OURS = LocalMedia("192.0.2.9", 10000, 10001, session_id=77, version=1)
HERE = replace(OURS, rtp_port=20000, rtcp_port=20001, session_id=5, version=3, address="192.0.2.10")

TEST_TOOL = (
    "v=0\no=user1 {id} 1 IN IP4 {host}\ns=-\nc=IN IP4 {host}\nt=0 0\nm=audio {port} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
)
PBX = (
    "v=0\no=- {id} {id} IN IP4 {host}\ns=PBX\nc=IN IP4 {host}\nt=0 0\nm=audio {port} RTP/AVP 8 0 9 101\n"
    "a=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:9 G722/8000\na=rtpmap:101 telephone-event/8000\n"
    "a=fmtp:101 0-16\na=ptime:20\na=maxptime:140\na=sendrecv\n"
)
SOFTPHONE = (
    "v=0\no=- {id} 3 IN IP4 {host}\ns=-\nc=IN IP4 {host}\nt=0 0\na=tool:phone 1.0.0\n"
    "m=audio {port} RTP/AVP 96 0 8 101\n"
    "b=AS:125\na=rtpmap:96 opus/48000/2\na=fmtp:96 stereo=1;sprop-stereo=1\n"
    "a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n"
    "a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=rtcp:{rtcp}\na=sendrecv\na=label:1\na=rtcp-rsize\n"
    "a=minptime:10\na=ptime:20\n"
)
CARRIER = (
    "v=0\no=root {id} {id} IN IP4 {host}\ns=Media Gateway\nc=IN IP4 {host}\nt=0 0\na=silenceSupp:off - - - -\n"
    "m=audio {port} RTP/AVP 0 13 101\na=rtpmap:0 PCMU/8000\na=rtpmap:13 CN/8000\na=rtpmap:101 telephone-event/8000\n"
    "a=fmtp:101 0-16\na=rtcp:{rtcp} IN IP4 {host}\na=rtcp-mux\na=maxptime:30\n"
)
HOLD = (
    "v=0\no=- {id} 4 IN IP4 {host}\ns=-\nc=IN IP4 {host}\nt=0 0\na=sendonly\nm=audio {port} RTP/AVP 8\na=maxptime:15\n"
)
OFFERS = st.sampled_from([TEST_TOOL, PBX, SOFTPHONE, CARRIER, HOLD])
HOSTS = st.sampled_from(
    [
        "198.51.100.7",
        "10.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "1.2.3",
        "1.2.3.04",
        "999.1.1.1",
        "host.test",
    ]
)
PORTS = st.sampled_from([0, 1, 4000, 4001, 65534, 65535, 65536, 99999])
OWN_CODECS = st.sampled_from([(PCMU, PCMA), (PCMA,), (OPUS, G722, PCMU)])
ABILITIES = st.builds(
    Capabilities,
    codecs=OWN_CODECS,
    telephone_event_payload_type=st.sampled_from([None, 101]),
    ptime_ms=st.sampled_from([20, 40]),
    own_order=st.booleans(),
    rtcp_mux=st.booleans(),
    comfort_noise=st.booleans(),
    srtp=st.sampled_from([Encryption.OFF, Encryption.OFF, Encryption.OPTIONAL]),
)
ODD_LINES = st.sampled_from(
    [
        "m=audio 5000 RTP/AVP 8", "m=video 5000 RTP/AVP 99", "c=IN IP4 203.0.113.5", "c=IN IP6 2001:db8::1",
        "a=rtcp:9", "a=rtcp:9 IN IP4 203.0.113.6", "a=rtcp :9", "a=rtcp\u00a0:9", "a=rtcp", "a=rtcp-mux",
        "a=inactive", "a=ptime:40",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc", "v=0", "o=- 1 1 IN IP4 1.1.1.1", "t=5 6", "x=y", "junk", "",
        "a=\0", "a=\r", "a=rtpmap:8 PCMU/16000", "a=rtpmap:0 G729/8000", "s=\u00e9", "a=x" + "y" * 900,
    ]
)  # fmt: skip
Outcome = tuple[bytes, Agreed] | tuple[str, int, int | None]


def offer_of(shape: str, host: str = "198.51.100.7", port: int = 4000, number: int = 1) -> bytes:
    text = shape.format(id=number, host=host, port=port, rtcp=port + 1)
    return text.replace("\n", "\r\n").encode()


def with_lines(shape: str, odd: list[tuple[str, int]]) -> str:
    lines = shape.split("\n")
    for line, place in odd:
        lines.insert(min(place, len(lines) - 1), line)
    return "\n".join(lines)


def outcome(offer: bytes, local: LocalMedia, capabilities: Capabilities) -> Outcome:
    try:
        return answer_offer(offer, local, capabilities)
    except RemoteProtocolError as error:
        return str(error), error.status, error.warning


@given(OFFERS, HOSTS, PORTS, ABILITIES, st.lists(st.tuples(ODD_LINES, st.integers(0, 24)), max_size=2))
def test_an_offer_that_was_seen_elsewhere_is_answered_as_if_it_was_not(
    shape: str, host: str, port: int, capabilities: Capabilities, odd: list[tuple[str, int]]
) -> None:
    shape = with_lines(shape, odd)
    unasked = replace(capabilities)  # equal, but nothing is remembered under it

    outcome(offer_of(shape), OURS, capabilities)  # now its shape is known, if it has one
    again = outcome(offer_of(shape, host, port, number=2), HERE, capabilities)

    assert again == outcome(offer_of(shape, host, port, number=2), HERE, unasked)


def settled(answer: bytes, local: LocalMedia, capabilities: Capabilities) -> Agreed | tuple[str, int, int | None]:
    try:
        return read_answer(answer, local, capabilities)
    except RemoteProtocolError as error:
        return str(error), error.status, error.warning


@given(OFFERS, HOSTS, PORTS, ABILITIES, st.lists(st.tuples(ODD_LINES, st.integers(0, 24)), max_size=2))
def test_an_answer_that_was_seen_elsewhere_settles_the_same_as_if_it_was_not(
    shape: str, host: str, port: int, capabilities: Capabilities, odd: list[tuple[str, int]]
) -> None:
    shape = with_lines(shape, odd)
    unasked = replace(capabilities)

    settled(offer_of(shape), OURS, capabilities)
    again = settled(offer_of(shape, host, port, number=2), HERE, capabilities)

    assert again == settled(offer_of(shape, host, port, number=2), HERE, unasked)


@given(ABILITIES, st.sampled_from([SENDRECV, SENDONLY, INACTIVE]), st.sampled_from(["192.0.2.10", "2001:db8::1"]))
def test_a_first_offer_that_was_made_elsewhere_is_made_as_if_it_was_not(
    capabilities: Capabilities, direction: Direction, address: str
) -> None:
    here = replace(OURS, rtp_port=20000, rtcp_port=20001, session_id=5, version=3, address=address, direction=direction)

    make_offer(replace(OURS, direction=direction, secret=SECRET), capabilities)
    again = make_offer(replace(here, secret=SECRET), capabilities)

    assert again == make_offer(replace(here, secret=SECRET), replace(capabilities))


@pytest.mark.parametrize("shape", [TEST_TOOL, PBX, SOFTPHONE, CARRIER, HOLD])
def test_offers_of_one_far_end_have_one_shape(shape: str) -> None:
    abilities = Capabilities()
    one = plain(offer_of(shape), OURS, abilities)
    other = plain(offer_of(shape, "198.51.100.8", 5000, number=2), OURS, abilities)

    assert one is not None
    assert other == (one.key, "198.51.100.8", 5000)


@pytest.mark.parametrize(
    ("local", "capabilities"),
    [
        (OURS, Capabilities(srtp=Encryption.OPTIONAL)),
        (replace(OURS, direction=SENDONLY), Capabilities()),
        (replace(OURS, address="2001:db8::1"), Capabilities()),
    ],
)
def test_offers_whose_answer_hangs_on_more_have_no_shape(local: LocalMedia, capabilities: Capabilities) -> None:
    assert plain(offer_of(PBX), local, capabilities) is None


def test_no_more_than_a_few_hundred_shapes_are_remembered() -> None:
    remembered: Remembered[int] = Remembered()
    abilities = Capabilities()
    for number in range(1000):
        remembered.keep((id(abilities), number), abilities, number)

    assert 0 < len(remembered) <= 256
    assert remembered.recall((id(abilities), 999)) == 999
    assert remembered.recall((id(abilities), 0)) is None


def test_what_was_agreed_moves_to_where_the_peer_is_now() -> None:
    abilities = Capabilities()
    _, before = answer_offer(offer_of(CARRIER), OURS, abilities)
    _, after = answer_offer(offer_of(CARRIER, "198.51.100.8", 5000), OURS, abilities)

    assert after == replace(
        before, remote_host="198.51.100.8", remote_rtp_port=5000, remote_rtcp_host="198.51.100.8", remote_rtcp_port=5000
    )
