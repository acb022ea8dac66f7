import os

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.grammar import TOKEN
from sipflow.sip.ids import Ids


class Counting:
    """A source that remembers how much was asked of it."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, size: int) -> bytes:
        self.asked.append(size)
        return bytes(index % 251 for index in range(size))


def test_each_id_has_its_shape_and_the_node_in_front() -> None:
    ids = Ids(Counting(), node="n7")

    assert ids.branch() == "z9hG4bKn7" + "0001020304050607"
    assert ids.tag() == "n7" + "08090a0b0c0d0e0f"
    assert ids.call_id() == "n7" + "101112131415161718191a1b"
    assert ids.call_id("192.0.2.1") == "n7" + "1c1d1e1f2021222324252627" + "@192.0.2.1"
    assert ids.token(2) == "2829"


def test_the_source_is_read_in_large_pieces() -> None:
    source = Counting()
    ids = Ids(source)

    for _ in range(129):
        ids.token()

    assert source.asked == [1024, 1024]


def test_a_token_larger_than_the_buffer_is_whole() -> None:
    assert len(Ids(Counting()).token(3000)) == 6000


def test_ids_do_not_repeat_and_are_tokens() -> None:
    ids = Ids(os.urandom)

    minted = [mint() for _ in range(3000) for mint in (ids.branch, ids.tag, ids.call_id)]

    assert len(set(minted)) == len(minted)
    assert all(TOKEN.fullmatch(text) for text in minted)


@pytest.mark.parametrize("node", ["a b", "a;b", "a\r\n", "ä"])
def test_a_node_that_is_no_token_is_refused(node: str) -> None:
    with pytest.raises(LocalProtocolError):
        Ids(os.urandom, node=node)
