import json

import pytest

from sipflow.agents.stream.messages import Audio, Clear, Mark, Start, Unknown
from sipflow.agents.stream.vonage import Vonage
from sipflow.errors import RemoteProtocolError

START = Start("call-1", "+12065550199", "+12065550100", parameters={"X-Customer": "42", "event": "no", "from": "me"})


def test_it_begins_with_connected_and_the_parameters_beside_it() -> None:
    (connected,) = map(json.loads, Vonage(START, sample_rate_hz=16000).opening())

    assert connected == {
        "event": "websocket:connected",
        "content-type": "audio/l16;rate=16000",
        "uuid": "call-1",
        "from": "me",
        "to": "+12065550100",
        "X-Customer": "42",
    }


def test_audio_is_raw_both_ways_and_may_be_cut_anywhere() -> None:
    vonage = Vonage(START, sample_rate_hz=16000)

    assert vonage.audio(b"\x01\x02" * 320, 20) == b"\x01\x02" * 320
    assert vonage.read_binary(b"\x01\x02\x03") == (Audio(b"\x01\x02", 16000),)
    assert vonage.read_binary(b"\x04") == (Audio(b"\x03\x04", 16000),)


def test_a_notice_comes_back_with_its_payload_when_it_was_played_and_never_when_it_was_cleared() -> None:
    vonage = Vonage(START)
    (mark,) = vonage.read_text(b'{"action": "notify", "payload": {"turn": [1, null, "\xc3\xa4"]}}')

    assert isinstance(mark, Mark)
    assert json.loads(vonage.marked(mark, played=True) or "") == {
        "event": "websocket:notify",
        "payload": {"turn": [1, None, "ä"]},
    }
    assert vonage.marked(mark, played=False) is None


def test_clear_is_understood_confirmed_and_drops_half_a_sample() -> None:
    vonage = Vonage(START)
    vonage.read_binary(b"\x01")

    assert vonage.read_text(b'{"action":"clear"}') == (Clear(),)
    assert json.loads(vonage.cleared() or "") == {"event": "websocket:cleared"}
    assert vonage.read_binary(b"\x02\x03") == (Audio(b"\x02\x03", 16000),)


def test_digits_and_the_end() -> None:
    vonage = Vonage(START)

    assert json.loads(vonage.digit("5")) == {"event": "websocket:dtmf", "digit": "5", "duration": 260}
    assert (vonage.closing(), vonage.refused("why")) == (None, None)


@pytest.mark.parametrize(("data", "what"), [(b'{"action":"dance"}', "dance"), (b'{"event":"media"}', "None")])
def test_other_actions_are_passed_over(data: bytes, what: str) -> None:
    assert Vonage(START).read_text(data) == (Unknown(what),)


def test_garbage_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^not JSON"):
        Vonage(START).read_text(b"{")
