import pytest

from sipflow.agents.stream.dialect import Frames, WholeSamples, read_object, shown
from sipflow.errors import RemoteProtocolError


@pytest.mark.parametrize("sizes", [(320,), (640, 640), (100, 540), (480, 480, 480), (960, 320), (1, 319, 322, 1280)])
def test_samples_in_any_pieces_become_pieces_of_20_ms(sizes: tuple[int, ...]) -> None:
    whole = bytes(range(256)) * 20
    frames, at = Frames(16000), 0
    got: list[bytes] = []
    for size in sizes:
        got += frames.cut(whole[at : at + size])
        at += size

    assert {len(piece) for piece in got} <= {640}
    assert b"".join(got) == whole[: at // 640 * 640]


def test_a_piece_of_just_20_ms_is_not_copied() -> None:
    piece = bytes(320)

    assert Frames(8000).cut(piece)[0] is piece


def test_half_a_sample_waits_for_its_other_half() -> None:
    halves = WholeSamples()

    assert [halves.take(data) for data in (b"abc", b"d", b"", b"efg", b"hij")] == [b"ab", b"cd", b"", b"ef", b"ghij"]


def test_half_a_sample_can_be_forgotten() -> None:
    halves = WholeSamples()
    halves.take(b"a")
    halves.forget()

    assert halves.take(b"bc") == b"bc"


def test_only_an_object_is_an_object() -> None:
    assert read_object(b' {"a": 1} ') == {"a": 1}
    for data in (b"", b"1", b'"a"', b"null", b"{}{}", b"\x80"):
        with pytest.raises(RemoteProtocolError):
            read_object(data)


def test_what_is_foreign_is_shown_short() -> None:
    assert shown(b"x" * 100) == repr("x" * 60) + "..."
