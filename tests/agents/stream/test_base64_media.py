from binascii import b2a_base64

import pytest

from sipflow.agents.stream.base64_media import from_base64, payload, usual_payload
from sipflow.errors import RemoteProtocolError


def test_the_usual_message_is_read_without_reading_it_as_json() -> None:
    sound = bytes(range(256))
    coded = b2a_base64(sound, newline=False)

    assert usual_payload(b'{"event":"media","streamSid":"MZ1","media":{"payload":"%b"}}' % coded) == sound
    assert usual_payload(b'{"event": "media", "stream_id": "1", "media": {"payload": "%b"}}' % coded) == sound
    assert usual_payload(b'{"event":"media","media":{"payload":"%b"}}' % coded) == sound


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
    assert usual_payload(data) is None


def test_a_long_message_that_is_not_usual_takes_no_longer_than_its_length() -> None:
    for data in (b'{"event":' + b" " * 1_000_000, b'{"event":"media","media":{"payload":"' + b"A" * 1_000_000):
        assert usual_payload(data) is None


def test_what_is_not_base64_is_refused() -> None:
    for coded in (b"A", "ä", b"AAAAA"):
        with pytest.raises(RemoteProtocolError, match="not base64"):
            from_base64(coded)


def test_a_payload_is_found_in_a_message() -> None:
    assert payload({"media": {"payload": "AAAA"}}) == bytes(3)
    for message in ({}, {"media": 1}, {"media": {"payload": 1}}):
        with pytest.raises(RemoteProtocolError):
            payload(dict(message))
