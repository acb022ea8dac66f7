import json
from binascii import b2a_base64

import pytest

from sipflow.agents.stream.jambonz import Jambonz
from sipflow.agents.stream.messages import Audio, Clear, ClearMarks, Hangup, Mark, Start, Unknown
from sipflow.audio.wav import wav_header
from sipflow.errors import RemoteProtocolError

START = Start("call-1", "+12065550199", "+12065550100", sip_call_id="abc@pbx", parameters={"X-Customer": "42"})
PCM = b"\x01\x02" * 80


def play(content: bytes = PCM, **more: object) -> bytes:
    data = {"audioContent": b2a_base64(content, newline=False).decode(), **more}
    return json.dumps({"type": "playAudio", "data": data}).encode()


def test_it_offers_jambonz_subprotocol_and_begins_with_the_calls_metadata() -> None:
    jambonz = Jambonz(START, sample_rate_hz=16000)
    (told,) = map(json.loads, jambonz.opening())

    assert jambonz.subprotocols == ("audio.jambonz.org",)
    assert told == {
        "callSid": "call-1",
        "callId": "abc@pbx",
        "direction": "inbound",
        "from": "+12065550199",
        "to": "+12065550100",
        "sampleRate": 16000,
        "mixType": "mono",
        "customerData": {"X-Customer": "42"},
    }


def test_audio_is_raw_both_ways_and_may_be_cut_anywhere() -> None:
    jambonz = Jambonz(START)

    assert jambonz.audio(PCM, 20) == PCM
    assert jambonz.read_binary(b"\x01\x02\x03") == (Audio(b"\x01\x02", 8000),)
    assert jambonz.read_binary(b"\x04") == (Audio(b"\x03\x04", 8000),)


def test_play_audio_takes_the_place_of_what_plays_unless_it_is_to_be_queued() -> None:
    jambonz = Jambonz(START)

    assert jambonz.read_text(play()) == (Clear(), Audio(PCM, 8000))
    assert jambonz.read_text(play(queuePlay=True)) == (Audio(PCM, 8000),)
    assert jambonz.read_text(play(audioContentType="raw", sampleRate="16000", queuePlay=True)) == (Audio(PCM, 16000),)


def test_play_audio_with_an_id_is_told_when_it_is_over() -> None:
    jambonz = Jambonz(START)
    *_, mark = jambonz.read_text(play(id="greeting", queuePlay=True))

    assert isinstance(mark, Mark)
    assert json.loads(jambonz.marked(mark, played=True) or "") == {"type": "playDone", "data": {"id": "greeting"}}


def test_a_wav_file_brings_its_own_rate() -> None:
    wav = wav_header(len(PCM), 16000) + PCM

    assert Jambonz(START).read_text(play(wav, audioContentType="wave", queuePlay=True)) == (Audio(PCM, 16000),)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (play(audioContentType="mp3"), "audioContentType is 'mp3', neither raw nor wave"),
        (play(b"no file", audioContentType="wave"), "playAudio: "),
        (play(sampleRate=11025), "a sampleRate of '11025' cannot be played"),
        (play(sampleRate=None), "a sampleRate of 'None' cannot be played"),
        (b'{"type":"playAudio"}', "no object 'data'"),
        (b'{"type":"playAudio","data":{"audioContent":"A"}}', "the audio is not base64"),
        (b'{"type":"mark","data":{}}', "no text 'name'"),
        (b"{", "not JSON"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        Jambonz(START).read_text(data)

    assert str(error.value).startswith(why)
    assert json.loads(Jambonz(START).refused(why) or "") == {"type": "error", "data": {"message": why}}


def test_marks_tell_whether_they_were_played() -> None:
    jambonz = Jambonz(START)
    (mark,) = jambonz.read_text(b'{"type":"mark","data":{"name":"a"}}')

    assert isinstance(mark, Mark)
    told = [json.loads(jambonz.marked(mark, played=played) or "") for played in (True, False)]
    assert told == [
        {"type": "mark", "data": {"name": "a", "event": "playout"}},
        {"type": "mark", "data": {"name": "a", "event": "cleared"}},
    ]


def test_kill_audio_clear_marks_and_disconnect_are_understood() -> None:
    jambonz = Jambonz(START)
    jambonz.read_binary(b"\x01")

    assert jambonz.read_text(b'{"type":"killAudio"}') == (Clear(),)
    assert jambonz.read_binary(b"\x02\x03") == (Audio(b"\x02\x03", 8000),)
    assert jambonz.read_text(b'{"type":"clearMarks"}') == (ClearMarks(),)
    assert jambonz.read_text(b'{"type":"disconnect"}') == (Hangup(),)
    assert jambonz.read_text(b'{"type":"dance"}') == (Unknown("dance"),)


def test_digits_and_the_end() -> None:
    jambonz = Jambonz(START)

    assert json.loads(jambonz.digit("2")) == {"event": "dtmf", "dtmf": "2", "duration": "250"}
    assert (jambonz.closing(), jambonz.cleared()) == (None, None)
