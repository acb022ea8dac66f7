from binascii import b2a_base64

import pytest

from sipflow.agents.stream.base64_media import UsualMedia, from_base64, payload
from sipflow.errors import RemoteProtocolError


def test_the_usual_message_is_read_without_reading_it_as_json() -> None:
    sound = bytes(range(256))
    coded = b2a_base64(sound, newline=False)

    assert UsualMedia().payload(b'{"event":"media","streamSid":"MZ1","media":{"payload":"%b"}}' % coded) == sound
    assert UsualMedia().payload(b'{"event": "media", "stream_id": "1", "media": {"payload": "%b"}}' % coded) == sound
    assert UsualMedia().payload(b'{"event":"media","media":{"payload":"%b"}}' % coded) == sound


def test_the_messages_after_the_first_are_read_alike_and_no_other_is_taken_for_one() -> None:
    usual, message = UsualMedia(), b'{"event":"media","streamSid":"MZ1","media":{"payload":"%b"}}'
    sound = bytes(range(160))
    coded = b2a_base64(sound, newline=False)

    assert [usual.payload(message % each) for each in (coded, coded, b"AAAA", b"")] == [sound, sound, bytes(3), b""]
    assert usual.payload(message % b'AAAA","track":"AAAA') is None
    assert usual.payload(message % b"AA\\/A") is None
    assert usual.payload(message[:-7]) is None
    assert usual.payload(message.replace(b"%b", b"").replace(b'""', b'"')) is None
    assert usual.payload(b'{"event":"mark","streamSid":"MZ1","mark":{"name":"a"}}') is None
    assert usual.payload((message % coded).replace(b"MZ1", b"MZ2")) == sound
    with pytest.raises(RemoteProtocolError, match="not base64"):
        usual.payload(message % b"A")


@pytest.mark.parametrize(
    "data",
    [
        b'{"event":"mark","media":{"payload":"AAAA"}}',
        b'{"event":"media","media":{"payload":"AAAA","track":"outbound"}}',
        b'{"event":"media","media":{"payload":"AA\\/A"}}',
        b'{"event":"media","media":{"payload":"AAAA"}} {}',
        b"",
    ],
)
def test_every_other_message_is_left_to_json(data: bytes) -> None:
    assert UsualMedia().payload(data) is None


def test_a_long_message_that_is_not_usual_takes_no_longer_than_its_length() -> None:
    for data in (b'{"event":' + b" " * 1_000_000, b'{"event":"media","media":{"payload":"' + b"A" * 1_000_000):
        assert UsualMedia().payload(data) is None


def test_what_is_not_base64_is_refused() -> None:
    for coded in (b"A", "ä", b"AAAAA"):
        with pytest.raises(RemoteProtocolError, match="not base64"):
            from_base64(coded)


def test_a_payload_is_found_in_a_message() -> None:
    assert payload({"media": {"payload": "AAAA"}}) == bytes(3)
    for message in ({}, {"media": 1}, {"media": {"payload": 1}}):
        with pytest.raises(RemoteProtocolError):
            payload(dict(message))
