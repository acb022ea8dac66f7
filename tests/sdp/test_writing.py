from sipflow.sdp.agreement import LocalMedia
from sipflow.sdp.attributes import RECVONLY, SENDRECV
from sipflow.sdp.description import MediaDescription
from sipflow.sdp.writing import Format, write_description, write_placed, write_refused, write_terms

OURS = LocalMedia("192.0.2.9", 10000, 10003, session_id=77, version=3)


def test_the_session_part_carries_the_address_for_all_media() -> None:
    assert write_description(OURS, "0 0", ["m=audio 0 RTP/AVP 0\r\n"]) == (
        b"v=0\r\no=- 77 3 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"
    )


def test_an_ipv6_address_is_named_as_one() -> None:
    ours = LocalMedia("2001:db8::9", 10000, 10001, 1, 1)

    assert write_description(ours, "0 0", []) == (
        b"v=0\r\no=- 1 1 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\nt=0 0\r\n"
    )


def test_audio_is_written_with_maps_parameters_time_direction_and_rtcp_port() -> None:
    formats = [Format(8, "PCMA/8000"), Format(101, "telephone-event/8000", "0-16")]
    text = write_placed(OURS, write_terms("RTP/AVP", formats, ptime_ms=30, direction=RECVONLY), rtcp_mux=False)

    assert text.split("\r\n") == [
        "m=audio 10000 RTP/AVP 8 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:30",
        "a=recvonly",
        "a=rtcp:10003",
        "",
    ]


def test_rtcp_on_the_same_port_has_no_port_of_its_own() -> None:
    text = write_placed(
        OURS, write_terms("RTP/AVP", [Format(0, "PCMU/8000")], ptime_ms=20, direction=SENDRECV), rtcp_mux=True
    )

    assert text.split("\r\n")[2:] == ["a=ptime:20", "a=sendrecv", "a=rtcp-mux", ""]


def test_a_refused_medium_keeps_its_protocol_and_formats() -> None:
    assert write_refused(MediaDescription([], "image", 5000, "udptl", ("t38",))) == "m=image 0 udptl t38\r\n"
    assert write_refused(MediaDescription([], "audio", 5000, "RTP/AVP", ())) == "m=audio 0 RTP/AVP 0\r\n"
