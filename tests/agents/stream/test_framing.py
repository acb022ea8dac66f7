import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from sipflow.agents.stream.framing import BINARY, TEXT, Deframer, Piece, client_frame

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 100_000]
MOST = 200_000


def whole(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=False)


def cut(data: bytes, sizes: list[int]) -> list[Piece]:
    """Feed the data in pieces of these lengths, over and over."""
    deframer, found, at, turn = Deframer(max_message_bytes=MOST), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += deframer.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("first", "opcode"), [(TEXT, Opcode.TEXT), (BINARY, Opcode.BINARY)])
def test_what_we_write_is_what_the_library_reads(first: int, opcode: Opcode, size: int) -> None:
    payload = os.urandom(size)
    server = ServerProtocol(state=OPEN)
    server.receive_data(client_frame(first, payload, b"\x01\x02\x03\x04"))
    (frame,) = server.events_received()

    assert isinstance(frame, Frame)
    assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1000, 4096, 300_000])
def test_whole_messages_are_found_however_they_arrive(size: int, step: int) -> None:
    payload = os.urandom(size)
    data = whole(Opcode.TEXT, payload) + whole(Opcode.BINARY, payload)

    assert cut(data, [step]) == [(payload, TEXT), (payload, BINARY)]


@given(
    st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]), st.integers(0, 300)), max_size=8),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_any_mixture_in_any_pieces_is_told_apart(frames: list[tuple[Opcode, int]], sizes: list[int]) -> None:
    first = {Opcode.TEXT: TEXT, Opcode.BINARY: BINARY, Opcode.PING: 0}
    expected, data = [], b""
    for opcode, size in frames:
        payload = bytes(size if opcode is not Opcode.PING else min(size, 125))
        frame = whole(opcode, payload)
        expected.append((frame if opcode is Opcode.PING else payload, first[opcode]))
        data += frame

    assert cut(data, sizes) == expected


def test_a_message_in_fragments_is_the_library_s_with_all_that_comes_between() -> None:
    frames = [
        whole(Opcode.TEXT, b"a", fin=False),
        whole(Opcode.PING, b"p"),
        whole(Opcode.TEXT, b"not allowed here"),
        whole(Opcode.CONT, b"b", fin=False),
        whole(Opcode.CONT, b"c"),
    ]
    after = whole(Opcode.TEXT, b"d")

    found = cut(b"".join(frames[:2] + frames[3:]) + after, [10_000])
    assert found == [(frames[0], 0), (frames[1], 0), (frames[3], 0), (frames[4], 0), (b"d", TEXT)]
    assert cut(frames[0] + frames[2], [10_000]) == [(frames[0], 0), (frames[2], 0)]


@pytest.mark.parametrize(
    "bad",
    [
        Frame(Opcode.TEXT, b"masked").serialize(mask=True),
        whole(Opcode.TEXT, bytes(MOST + 100)),
        b"\x81\x7f" + b"\xff" * 8,
    ],
    ids=["masked", "too long", "endless"],
)
def test_what_must_not_be_goes_to_the_library_at_once_and_all_that_follows_too(bad: bytes) -> None:
    deframer = Deframer(max_message_bytes=MOST)
    found = deframer.feed(whole(Opcode.TEXT, b"good") + bad[:20])

    assert found == [(b"good", TEXT), (bad[:20], 0)]
    assert deframer.feed(b"anything") == [(b"anything", 0)]


def test_octets_of_a_reserved_kind_are_the_library_s() -> None:
    frame = b"\xc1\x01x"  # RSV1 without an extension

    assert cut(frame, [10]) == [(frame, 0)]


def test_a_long_message_in_small_pieces_is_not_looked_at_again_and_again() -> None:
    payload = os.urandom(MOST)

    assert cut(whole(Opcode.BINARY, payload), [50]) == [(payload, BINARY)]


@pytest.mark.parametrize("size", SIZES)
def test_one_whole_message_is_known_as_such_and_nothing_else_is(size: int) -> None:
    payload = os.urandom(size)
    data = whole(Opcode.TEXT, payload)

    assert Deframer(max_message_bytes=MOST).only(data) == (payload if size <= 65535 else None)
    for other in (data[:-1], data + b"\x00", data * 2, whole(Opcode.PING, b""), whole(Opcode.TEXT, payload, fin=False)):
        assert Deframer(max_message_bytes=MOST).only(other) is None


def test_a_message_that_is_too_long_is_left_to_the_library_though_it_is_one() -> None:
    assert Deframer(max_message_bytes=1000).only(whole(Opcode.TEXT, bytes(1001))) is None
    assert Deframer(max_message_bytes=1003).only(whole(Opcode.TEXT, bytes(1001))) == bytes(1001)


def test_a_message_is_not_taken_alone_while_another_one_is_under_way() -> None:
    for begun in (b"\x81", b"\x81\x7e\x01", whole(Opcode.TEXT, b"a", fin=False)):
        deframer = Deframer(max_message_bytes=MOST)
        deframer.feed(begun)

        assert deframer.only(whole(Opcode.TEXT, b"b")) is None
