"""What is fuzzed: a reader of something foreign, and what must be so whatever it is given."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One reader.

    Attributes:
        check: reads the octets and asserts what must hold; says whether they were accepted. Any exception is a find.
        words: pieces of its language, for the fuzzer to build with.
        longest_bytes: of an input; as much as a peer can send at once, or what the reader itself allows.
    """

    check: Callable[[bytes], bool]
    words: tuple[str, ...] = ()
    longest_bytes: int = 4096


def text_of(data: bytes) -> str:
    """The text of octets from the wire, as header text is decoded."""
    return data.decode("utf-8", "surrogateescape")


def pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    """Cut an input into what is read, and the same in pieces whose size its first octet says."""
    size, rest = 1 + (data[0] if data else 0), data[1:]
    return rest, [rest[at : at + size] for at in range(0, len(rest), size)]
