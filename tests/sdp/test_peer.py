import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.attributes import INACTIVE, RECVONLY, SENDONLY, SENDRECV, Direction, RtpMap
from sipflow.sdp.description import SessionDescription
from sipflow.sdp.peer import PeerAudio, read_audio, read_mappings


def read(*lines: str, session: tuple[str, ...] = ("c=IN IP4 192.0.2.1",)) -> PeerAudio:
    """Read the first medium of a description; the media part begins with its m= line."""
    text = "\r\n".join(["v=0", *session, *lines, ""])
    description = SessionDescription.parse(text.encode())
    return read_audio(description, description.media[0])


M = "m=audio 4000 RTP/AVP 0"


def test_a_bare_medium_has_the_defaults_of_the_rfcs() -> None:
    assert read(M) == PeerAudio(
        mappings=(RtpMap(0, "PCMU", 8000),),
        host="192.0.2.1",
        rtp_port=4000,
        rtcp_host="192.0.2.1",
        rtcp_port=4001,
        direction=SENDRECV,
        ptime_ms=None,
        maxptime_ms=None,
        rtcp_mux=False,
    )


def test_the_address_of_the_medium_wins_over_the_sessions() -> None:
    assert read(M, "c=IN IP4 192.0.2.77").host == "192.0.2.77"
    assert read(M, "c=IN IP4 192.0.2.77", session=()).host == "192.0.2.77"


def test_an_ipv6_address_is_given_in_its_shortest_form() -> None:
    assert read(M, "c=IN IP6 2001:0DB8:0::1").host == "2001:db8::1"


@pytest.mark.parametrize(
    ("line", "sentence", "status"),
    [
        ("b=AS:1", "the audio has no c= line (RFC 8866 §5.7)", 400),
        ("c=IN IP4", "not a connection line: c='IN IP4' (RFC 8866 §5.7)", 400),
        ("c=ATM NSAP 1", "not a connection line: c='ATM NSAP 1' (RFC 8866 §5.7)", 400),
        ("c=IN IP4 -pbx", "c= names -pbx: audio goes to the IP address of one host", 488),
        ("c=IN IP4 1.2.3", "c= names 1.2.3: audio goes to the IP address of one host", 488),
        ("c=IN IP4 224.2.1.1/127", "c= names 224.2.1.1: audio goes to the IP address of one host", 488),
        ("c=IN IP4 255.255.255.255", "c= names 255.255.255.255: audio goes to the IP address of one host", 488),
        ("c=IN IP6 ff02::1", "c= names ff02::1: audio goes to the IP address of one host", 488),
        ("c=IN IP6 fe80::1%eth0", "c= names fe80::1%eth0: audio goes to the IP address of one host", 488),
    ],
)
def test_an_address_we_cannot_send_to_is_refused(line: str, sentence: str, status: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read(M, line, session=())

    assert (str(caught.value), caught.value.status) == (sentence, status)


@pytest.mark.parametrize("name", ["pbx.example.com", "pbx", "media-1.example.com.", "4c.example", "a.4com"])
def test_a_host_that_is_named_is_heard_where_it_speaks_from(name: str) -> None:
    audio = read(M, f"c=IN IP4 {name}")

    assert (audio.host, audio.named, audio.direction) == ("0.0.0.0", True, SENDRECV)


@pytest.mark.parametrize(
    ("session", "medium", "direction"),
    [
        (None, None, SENDRECV),
        ("sendonly", None, SENDONLY),
        ("sendonly", "recvonly", RECVONLY),
        ("inactive", "sendrecv", SENDRECV),
        (None, "inactive", INACTIVE),
        (None, "sendonly ", SENDONLY),
    ],
)
def test_the_direction_of_the_medium_wins_over_the_sessions(
    session: str | None, medium: str | None, direction: Direction
) -> None:
    lines = [M, *([f"a={medium}"] if medium else [])]

    assert read(*lines, session=("c=IN IP4 192.0.2.1", *([f"a={session}"] if session else []))).direction is direction


@pytest.mark.parametrize(
    ("written", "direction"),
    [("sendrecv", SENDONLY), ("sendonly", SENDONLY), ("recvonly", INACTIVE), ("inactive", INACTIVE)],
)
@pytest.mark.parametrize("line", ["c=IN IP4 0.0.0.0", "c=IN IP6 ::"])
def test_an_unspecified_address_takes_nothing(line: str, written: str, direction: Direction) -> None:
    assert read(M, line, f"a={written}").direction is direction


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("a=rtcp:5009", ("192.0.2.1", 5009)),
        ("a=rtcp:5009 IN IP4 192.0.2.5", ("192.0.2.5", 5009)),
        ("a=rtcp:99999", ("192.0.2.1", 4001)),
        ("a=rtcp:0", ("192.0.2.1", 4001)),
        ("a=rtcp:5009 IN IP4 224.0.0.1", ("192.0.2.1", 4001)),
        ("a=rtcp:5009 IN IP4 0.0.0.0", ("192.0.2.1", 4001)),
        ("a=rtcp:5009 IN IP6 2001:db8::1", ("192.0.2.1", 4001)),
    ],
)
def test_rtcp_goes_where_it_is_told_or_to_the_next_port(line: str, place: tuple[str, int]) -> None:
    audio = read(M, line)

    assert (audio.rtcp_host, audio.rtcp_port) == place


def test_there_is_no_port_after_the_last_one() -> None:
    assert read("m=audio 65535 RTP/AVP 0").rtcp_port == 0


def test_packet_times_are_taken_from_the_medium_or_the_session() -> None:
    audio = read(M, "a=ptime:30", "a=maxptime:0", session=("c=IN IP4 192.0.2.1", "a=ptime:10", "a=maxptime:40"))

    assert (audio.ptime_ms, audio.maxptime_ms) == (30, None)
    assert read(M, session=("c=IN IP4 192.0.2.1", "a=ptime:10")).ptime_ms == 10


def test_payload_types_mean_what_their_rtpmap_says_or_rfc3551_does() -> None:
    formats = ("98", "0", "8", "97", "65535", "x", "٠", "101", "98")
    attributes = [
        ("rtpmap", "98 PCMA/8000"),
        ("rtpmap", "98 opus/48000"),
        ("rtpmap", "8 iLBC/8000"),
        ("rtpmap", "101 X/0"),
        ("rtpmap", "65535 X/8000"),
        ("rtpmap", "102 unused/8000"),
    ]

    assert read_mappings(formats, attributes) == (
        RtpMap(98, "PCMA", 8000),
        RtpMap(0, "PCMU", 8000),
        RtpMap(8, "iLBC", 8000),
        RtpMap(98, "PCMA", 8000),
    )


def test_parameters_are_kept_by_payload_type_and_the_first_of_each_holds() -> None:
    lines = [M, "a=fmtp:96 useinbandfec=1", "a=fmtp:101 0-15", "a=fmtp:96 usedtx=1", "a=fmtp:999 x", "a=fmtp:97"]

    assert read(*lines).fmtps == {96: "useinbandfec=1", 101: "0-15"}


def test_what_we_offered_need_not_be_repeated() -> None:
    known = {101: RtpMap(101, "telephone-event", 8000), 0: RtpMap(0, "L16", 8000)}

    assert read_mappings(("101", "0"), [("rtpmap", "0 PCMU/8000")], known) == (
        RtpMap(101, "telephone-event", 8000),
        RtpMap(0, "PCMU", 8000),
    )
