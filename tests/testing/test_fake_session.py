import ast
import asyncio
import inspect

import pytest

from sipflow.calls import hearing, speaking
from sipflow.errors import LocalProtocolError
from sipflow.media import player
from sipflow.media.session import MediaSession
from sipflow.testing.fake_session import FakeSession

FRAME = b"\x01\x00" * 160


def used_of_sessions(module: object) -> set[str]:
    """Names that a module asks of something called session."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] == "session"
    }


def test_it_has_what_calls_use_of_a_session_with_the_same_signatures() -> None:
    used = used_of_sessions(hearing) | used_of_sessions(speaking) | used_of_sessions(player)
    session = FakeSession(8000)

    assert {"frames", "queue", "mark", "clear"} <= used
    assert [name for name in used if not hasattr(session, name)] == []
    for name in used:
        real, fake = getattr(MediaSession, name, None), getattr(FakeSession, name, None)
        if inspect.isfunction(real) and inspect.isfunction(fake):
            asked = set(inspect.signature(fake).parameters)
            assert asked <= set(inspect.signature(real).parameters), name


async def test_a_tick_is_twenty_milliseconds_both_ways() -> None:
    session = FakeSession(8000)
    reader = session.frames()
    session.queue.enqueue(FRAME + FRAME[:100])
    for _ in range(3):
        session.tick(FRAME)

    assert (reader.waiting, session.queued_ms, session.played_ms) == (3, 0, 26)
    assert bytes(session.played) == FRAME + FRAME[:100]


async def test_marks_and_the_end_are_as_a_sessions() -> None:
    session = FakeSession(8000)
    session.queue.enqueue(FRAME * 3)
    early, late, drained = session.mark(before_ms=40), session.mark(), asyncio.ensure_future(session.drained())
    await asyncio.sleep(0)
    assert session.waited_for
    session.tick(FRAME)
    told = (early.done(), late.done())
    session.close()

    assert (told, await early, await late, await drained) == ((True, False), True, False, False)
    assert (session.closed, [frame async for frame in session.frames()]) == (True, [])


async def test_digits_are_kept_and_checked() -> None:
    session = FakeSession(8000)

    assert await session.send_digits("1#")
    assert (session.digits, session.digits_ms) == ("1#", 400)
    with pytest.raises(LocalProtocolError, match="is no DTMF digit"):
        session.send_digits("?")


async def test_clears_are_counted() -> None:
    session = FakeSession(16000)
    session.queue.enqueue(FRAME * 4)
    session.tick(FRAME * 2)

    assert (session.clear(), session.clears, session.statistics().played_ms) == (20, 1, 20)
