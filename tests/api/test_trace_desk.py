import io
import zipfile
from datetime import UTC, datetime

from sipflow.api.trace_desk import Evidence, TraceDesk, written
from sipflow.calls.captures import Captures
from sipflow.calls.record import CallRecord
from sipflow.media.capture import CapturedPacket
from sipflow.net.pcap import write_pcap
from sipflow.net.ring import Traced, TraceRing
from sipflow.sip.hop import Hop

PEER = Hop("tls", "192.0.2.7", 5061, "198.51.100.1", 5061)
RECORD = CallRecord("5f3c", "a@b", "inbound", "1", "2", "pbx", "", "echo", datetime(2024, 5, 1, 12, tzinfo=UTC))


def desk(ring: TraceRing | None) -> TraceDesk:
    return TraceDesk(ring=ring, captures=Captures({}))


def test_messages_are_given_without_their_secrets() -> None:
    ring = TraceRing(wall=lambda: 1.0)
    ring.claim("a@b", "5f3c")
    ring.received(b'BYE sip:a:pass@b SIP/2.0\r\nCall-ID: a@b\r\nAuthorization: Digest response="5ec4e7"\r\n\r\n', PEER)
    (message,) = desk(ring).messages("5f3c")

    assert message.data == (b"BYE sip:a:***@b SIP/2.0\r\nCall-ID: a@b\r\nAuthorization: Digest response=***\r\n\r\n")


def test_why_there_are_no_messages_is_said() -> None:
    assert desk(None).messages("5f3c") == ()
    assert desk(None).why_none() == "SIP messages are not kept here (trace.enabled is false)"
    assert "trace.ring_mb" in desk(TraceRing()).why_none()


def test_our_address_in_audio_packets_is_that_of_the_messages_where_the_socket_has_every_address() -> None:
    message = Traced(1.0, False, PEER, b"BYE")
    anywhere = CapturedPacket(2.0, True, ("0.0.0.0", 10000), ("192.0.2.7", 4000), b"rtp")
    exact = anywhere._replace(near=("198.51.100.1", 10000))

    assert desk(None).pcap([message], [anywhere]) == desk(None).pcap([message], [exact])
    assert desk(None).pcap([], []) == write_pcap([])


def test_what_strangers_wrote_cannot_steer_a_terminal() -> None:
    text = written([Traced(0.0, True, PEER, b"BYE sip:\x1b[2J SIP/2.0\r\nX: \xff\x00\r\n\r\n")])

    assert text == (
        "--- 1970-01-01T00:00:00.000000+00:00 to tls:192.0.2.7:5061\nBYE sip:\\x1b[2J SIP/2.0\nX: \\xff\\x00\n"
    )


def test_a_bundle_without_messages_and_recording_says_so() -> None:
    evidence = Evidence(record=RECORD, history=(), messages=(), pcap=b"pcap", statistics={})
    with zipfile.ZipFile(io.BytesIO(evidence.bundle(why_none="too long ago"))) as bundle:
        ladder = bundle.read("call-5f3c/ladder.txt")
        about = bundle.read("call-5f3c/README.txt").decode()

    assert ladder == b"too long ago\n"
    assert ("recording" in about, "audio packets" in about) == (False, False)
