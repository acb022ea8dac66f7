from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.agents.audiosocket_wire import AUDIO_KINDS, RATES_HZ, Kind, Messages, call_uuid, encode, error_text
from sipflow.errors import RemoteProtocolError

AUDIO = bytes(range(160)) * 2


def read_all(data: bytes, piece: int) -> list[tuple[int, bytes]]:
    messages, found = Messages(), []
    for at in range(0, len(data), piece):
        messages.feed(data[at : at + piece])
        while (message := messages.next()) is not None:
            found.append(message)
    assert messages.waiting_bytes == 0
    return found


def test_a_message_is_its_type_its_length_in_network_order_and_its_payload() -> None:
    assert encode(Kind.HANGUP) == b"\x00\x00\x00"
    assert encode(Kind.DTMF, b"5") == b"\x03\x00\x015"
    assert encode(0x10, AUDIO) == b"\x10\x01\x40" + AUDIO


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100, 1000])
def test_messages_are_read_from_pieces_of_any_size(piece: int) -> None:
    uuid = call_uuid("a call").bytes
    data = encode(Kind.UUID, uuid) + encode(0x10, AUDIO) + encode(Kind.DTMF, b"#") + encode(Kind.HANGUP)

    assert read_all(data, piece) == [(1, uuid), (0x10, AUDIO), (3, b"#"), (0, b"")]


def test_the_longest_message_is_read_and_the_next_one_after_it() -> None:
    assert read_all(encode(0x10, bytes(65534)) + encode(Kind.HANGUP), 4096) == [(0x10, bytes(65534)), (0, b"")]


@pytest.mark.parametrize("beginning", [b"H", b"HTTP/1.1 400 Bad Request", b"\x19\x00\x00", b"\x0f", b"\xfe\xff\xff"])
def test_a_type_that_there_is_not_is_refused_at_its_first_byte(beginning: bytes) -> None:
    messages = Messages()
    messages.feed(beginning)

    with pytest.raises(RemoteProtocolError, match=rf"type 0x{beginning[0]:02x}"):
        messages.next()


def test_half_a_sample_is_refused_before_it_has_come() -> None:
    messages = Messages()
    messages.feed(b"\x10\x01\x41")

    with pytest.raises(RemoteProtocolError, match="321 bytes"):
        messages.next()


def test_half_a_message_waits_for_the_other_half() -> None:
    messages = Messages()
    messages.feed(encode(0x12, AUDIO)[:100])

    assert (messages.next(), messages.waiting_bytes) == (None, 100)


def test_the_types_of_audio_say_the_rate() -> None:
    assert RATES_HZ == {
        0x10: 8000, 0x11: 12000, 0x12: 16000, 0x13: 24000, 0x14: 32000, 0x15: 44100, 0x16: 48000, 0x17: 96000,
        0x18: 192000,
    }  # fmt: skip
    assert AUDIO_KINDS[16000] == 0x12


def test_a_call_has_the_same_uuid_every_time_and_no_other_call_has_it() -> None:
    assert call_uuid("x") == UUID("9a2baeb0-fa27-5908-9f9b-b30fec9f1b96")
    assert len({call_uuid(str(number)) for number in range(1000)}) == 1000


def test_errors_have_words() -> None:
    assert [error_text(payload) for payload in (b"", b"\x01", b"\x02", b"\x04", b"\x40")] == [
        "an error without a code", "the caller hung up", "a frame could not be forwarded", "it is out of memory",
        "error 0x40",
    ]  # fmt: skip


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_whatever_comes_is_read_or_refused(pieces: list[bytes]) -> None:
    messages, fed, read = Messages(), 0, 0
    try:
        for piece in pieces:
            messages.feed(piece)
            fed += len(piece)
            while (message := messages.next()) is not None:
                read += 3 + len(message[1])
            assert messages.waiting_bytes == fed - read < 65538 + 200
    except RemoteProtocolError:
        return
