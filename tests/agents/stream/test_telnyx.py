import json
from array import array
from binascii import a2b_base64, b2a_base64
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sipflow.agents.stream.messages import Audio, Clear, Command, Mark, Start, Unknown
from sipflow.agents.stream.telnyx import Telnyx
from sipflow.audio.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from sipflow.audio.tones import sine
from sipflow.errors import RemoteProtocolError

START = Start("call-1", "+12065550199", "+12065550100", parameters={"X-Customer": "42"})
BEGAN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SOUND = sine(440, 20)


def telnyx(codec: str = "PCMU", rate_hz: int = 8000) -> Telnyx:
    return Telnyx(START, codec=codec, sample_rate_hz=rate_hz, began_at=BEGAN)


def media(payload: bytes) -> bytes:
    coded = b2a_base64(payload, newline=False).decode()
    return json.dumps({"event": "media", "media": {"payload": coded}}).encode()


def test_it_begins_with_connected_and_start() -> None:
    one = telnyx("L16", 16000)
    connected, start = map(json.loads, one.opening())
    body = start["start"]

    assert connected == {"event": "connected", "version": "1.0.0"}
    assert start == {"event": "start", "sequence_number": "1", "start": body, "stream_id": one.stream_id}
    assert body == {
        "user_id": body["user_id"],
        "call_control_id": one.call_control_id,
        "call_session_id": body["call_session_id"],
        "client_state": None,
        "from": "+12065550199",
        "to": "+12065550100",
        "custom_parameters": {"X-Customer": "42"},
        "media_format": {"encoding": "L16", "sample_rate": 16000, "channels": 1},
    }
    assert one.call_control_id.startswith("v3:")
    assert [str(UUID(text)) for text in (body["user_id"], body["call_session_id"])]
    assert (str(UUID(one.stream_id)).upper(), telnyx().stream_id) == (one.stream_id, one.stream_id)


def test_what_the_caller_says_is_numbered_and_timed_in_text() -> None:
    one = telnyx()
    one.opening()
    one.audio(SOUND, 0)

    assert json.loads(one.audio(SOUND, 20)) == {
        "event": "media",
        "sequence_number": "3",
        "media": {
            "track": "inbound",
            "chunk": "2",
            "timestamp": "20",
            "payload": b2a_base64(encode_ulaw(SOUND), newline=False).decode(),
        },
        "stream_id": one.stream_id,
    }


def test_digits_marks_faults_and_the_end() -> None:
    one = telnyx()
    one.opening()
    one.audio(SOUND, 1500)
    told = [one.digit("#"), one.marked(Mark("a"), played=False), one.closing(), one.refused("no text 'payload'")]
    digit, mark, stop, error = (json.loads(each or "") for each in told)

    assert digit == {
        "event": "dtmf",
        "sequence_number": "3",
        "occurred_at": "2026-03-04T05:06:08.500Z",
        "dtmf": {"digit": "#"},
        "stream_id": one.stream_id,
    }
    assert mark == {"event": "mark", "sequence_number": "4", "mark": {"name": "a"}, "stream_id": one.stream_id}
    assert stop["stop"] == {"user_id": stop["stop"]["user_id"], "call_control_id": one.call_control_id}
    assert error == {
        "event": "error",
        "stream_id": one.stream_id,
        "payload": {"code": 100002, "title": "malformed_frame", "detail": "no text 'payload'"},
    }
    assert one.cleared() is None


@pytest.mark.parametrize(("codec", "encode", "decode"), [
    ("PCMU", encode_ulaw, decode_ulaw), ("PCMA", encode_alaw, decode_alaw),
])  # fmt: skip
def test_g711_goes_both_ways(codec: str, encode: type, decode: type) -> None:
    one = telnyx(codec)

    assert a2b_base64(json.loads(one.audio(SOUND, 0))["media"]["payload"]) == encode(SOUND)
    assert one.read_text(media(encode(SOUND))) == (Audio(decode(encode(SOUND)), 8000),)


def test_l16_is_in_network_byte_order_and_may_be_cut_anywhere() -> None:
    one = telnyx("L16", 16000)
    samples = array("h", [1, -2, 300, 32767, -32768])
    swapped = array("h", samples)
    swapped.byteswap()
    wire = swapped.tobytes()

    assert a2b_base64(json.loads(one.audio(samples.tobytes(), 0))["media"]["payload"]) == wire
    heard: list[Command] = []
    for piece in (wire[:3], wire[3:4], wire[4:]):
        heard += one.read_text(media(piece))
    assert b"".join(each.pcm for each in heard if isinstance(each, Audio)) == samples.tobytes()


def test_half_a_sample_does_not_outlive_a_clear() -> None:
    one = telnyx("L16")
    one.read_text(media(b"\x01"))

    assert one.read_text(b'{"event":"clear"}') == (Clear(),)
    assert one.read_text(media(b"\x00\x02")) == (Audio(b"\x02\x00", 8000),)


def test_marks_and_clear_are_understood_and_other_events_are_passed_over() -> None:
    one = telnyx()

    assert one.read_text(b'{"event":"mark","mark":{"name":"a"}}') == (Mark("a"),)
    assert one.read_text(b'{"event": "clear"}') == (Clear(),)
    assert one.read_text(b'{"event":"dance"}') == (Unknown("dance"),)


@pytest.mark.parametrize("data", [b"x", b"{", b'{"event":"media"}', b'{"event":"media","media":{"payload":"A"}}'])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        telnyx().read_text(data)


def test_binary_messages_are_not_telnyx_s() -> None:
    with pytest.raises(RemoteProtocolError, match="a binary message"):
        telnyx().read_binary(b"\0\0")
