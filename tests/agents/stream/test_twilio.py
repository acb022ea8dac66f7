"""Twilio's words, exactly: what Twilio's documentation shows is what a bot gets, and what bots write is understood."""

import json
from binascii import b2a_base64

import pytest

from sipflow.agents.stream.messages import Audio, Clear, Mark, Start, Unknown
from sipflow.agents.stream.twilio import Twilio, sid
from sipflow.audio.codecs.g711 import decode_ulaw, encode_ulaw
from sipflow.audio.tones import sine
from sipflow.errors import RemoteProtocolError

START = Start("call-1", "+12065550199", "+12065550100", parameters={"X-Customer": "42", "voice": 'Anna "A"'})
CALL, STREAM = sid("CA", "call-1"), sid("MZ", "call-1")
ACCOUNT = sid("AC", "sipflow")
SOUND = sine(440, 20)


def test_ids_are_two_letters_and_32_hexadecimal_digits_and_always_the_same() -> None:
    twilio = Twilio(START)

    for found, letters in ((twilio.account_sid, "AC"), (twilio.call_sid, "CA"), (twilio.stream_sid, "MZ")):
        assert found[:2] == letters
        assert len(found[2:]) == 32
        assert set(found[2:]) <= set("0123456789abcdef")
    assert (Twilio(START).call_sid, Twilio(Start("call-2", "", "")).call_sid == CALL) == (CALL, False)


def test_it_begins_with_connected_and_start() -> None:
    connected, start = map(json.loads, Twilio(START).opening())

    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": ACCOUNT,
            "streamSid": STREAM,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {
                "From": "+12065550199",
                "To": "+12065550100",
                "from_number": "+12065550199",
                "to_number": "+12065550100",
                "X-Customer": "42",
                "voice": 'Anna "A"',
            },
        },
        "streamSid": STREAM,
    }


def test_what_the_caller_says_is_numbered_and_timed_in_text() -> None:
    twilio = Twilio(START)
    twilio.opening()
    messages = [json.loads(twilio.audio(SOUND, at_ms)) for at_ms in (0, 20)]

    assert messages[1] == {
        "event": "media",
        "sequenceNumber": "3",
        "media": {
            "track": "inbound",
            "chunk": "2",
            "timestamp": "20",
            "payload": b2a_base64(encode_ulaw(SOUND), newline=False).decode(),
        },
        "streamSid": STREAM,
    }


def test_digits_marks_and_the_end_go_on_with_the_numbers() -> None:
    twilio = Twilio(START)
    twilio.opening()
    told = [twilio.digit("#"), twilio.marked(Mark("my label"), played=True), twilio.closing()]

    assert [json.loads(each or "") for each in told] == [
        {
            "event": "dtmf",
            "sequenceNumber": "2",
            "dtmf": {"track": "inbound_track", "digit": "#"},
            "streamSid": STREAM,
        },
        {"event": "mark", "sequenceNumber": "3", "mark": {"name": "my label"}, "streamSid": STREAM},
        {
            "event": "stop",
            "sequenceNumber": "4",
            "stop": {"accountSid": ACCOUNT, "callSid": CALL},
            "streamSid": STREAM,
        },
    ]


def test_a_mark_comes_back_whether_it_was_played_or_cleared() -> None:
    assert Twilio(START).marked(Mark("a"), played=False) == Twilio(START).marked(Mark("a"), played=True)
    assert (Twilio(START).cleared(), Twilio(START).refused("why")) == (None, None)


PAYLOAD = b2a_base64(encode_ulaw(SOUND), newline=False).decode()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": PAYLOAD}}),
        json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": PAYLOAD}}, separators=(",", ":")),
        json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": PAYLOAD}}, indent=2),
        json.dumps({"media": {"payload": PAYLOAD, "track": "outbound"}, "streamSid": STREAM, "event": "media"}),
        json.dumps({"event": "media", "media": {"payload": PAYLOAD}}),
        json.dumps({"event": "media", "streamSid": 'M"Z', "media": {"payload": PAYLOAD}}),
    ],
)
def test_audio_of_a_bot_is_understood_however_it_is_written(text: str) -> None:
    assert Twilio(START).read_text(text.encode()) == (Audio(decode_ulaw(encode_ulaw(SOUND)), 8000),)


def test_audio_may_have_any_length() -> None:
    for samples in (0, 1, 160, 8000):
        coded = b2a_base64(bytes(samples), newline=False).decode()
        (audio,) = Twilio(START).read_text(json.dumps({"event": "media", "media": {"payload": coded}}).encode())
        assert audio == Audio(decode_ulaw(bytes(samples)), 8000)


def test_marks_and_clear_are_understood() -> None:
    twilio = Twilio(START)
    mark = {"event": "mark", "streamSid": STREAM, "mark": {"name": "end of turn 1"}}

    assert twilio.read_text(json.dumps(mark).encode()) == (Mark("end of turn 1"),)
    assert twilio.read_text(json.dumps({"event": "clear", "streamSid": STREAM}).encode()) == (Clear(),)


@pytest.mark.parametrize(
    ("text", "what"), [('{"event":"dance"}', "dance"), ("{}", "None"), ('{"event":["media"]}', "['media']")]
)
def test_an_event_that_twilio_does_not_have_is_passed_over(text: str, what: str) -> None:
    assert Twilio(START).read_text(text.encode()) == (Unknown(what),)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON: ''"),
        (b"hello", "not JSON: 'hello'"),
        (b"\xff\xfe{}", "not JSON: '\ufffd\ufffd{}'"),
        (b"[1]", "not a JSON object: '[1]'"),
        (b'{"event":"media"}', "no object 'media'"),
        (b'{"event":"media","media":{}}', "no text 'payload'"),
        (b'{"event":"media","media":{"payload":7}}', "no text 'payload'"),
        (b'{"event":"media","media":{"payload":"A"}}', "the audio is not base64"),
        ('{"event":"media","media":{"payload":"ä"}}'.encode(), "the audio is not base64"),
        (b'{"event":"mark"}', "no object 'mark'"),
        (b'{"event":"mark","mark":{"name":null}}', "no text 'name'"),
        (b'{"n":' + b"9" * 5000 + b"}", 'not JSON: \'{"n":' + "9" * 55 + "'..."),
    ],
)
def test_what_is_not_twilios_is_refused_in_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        Twilio(START).read_text(data)

    assert str(error.value) == why


def test_json_nested_beyond_all_measure_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^not JSON"):
        Twilio(START).read_text(b'{"event":' + b"[" * 100_000)


def test_binary_messages_are_not_twilios() -> None:
    with pytest.raises(RemoteProtocolError, match="a binary message"):
        Twilio(START).read_binary(b"\0\0")
