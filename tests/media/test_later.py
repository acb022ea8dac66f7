"""What waits until a stream has gone on for a while."""

import asyncio
from functools import partial

from sipflow.media.later import Later


async def test_each_is_called_once_in_the_order_in_which_they_came_and_who_was_removed_is_not() -> None:
    later, done = Later(0.01), asyncio.Event()
    called: list[str] = []
    for name in ("first", "gone", "second"):
        later.add(name, partial(called.append, name))
    later.add("last", done.set)

    later.remove("gone")
    later.remove("never there")
    await done.wait()

    assert (called, len(later)) == (["first", "second"], 0)


async def test_one_that_raises_does_not_keep_the_next_from_being_called() -> None:
    later, done = Later(0.01), asyncio.Event()
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: said.append(str(context["exception"])))

    def fails() -> None:
        raise RuntimeError("broken")

    later.add("broken", fails)
    later.add("next", done.set)
    await done.wait()

    assert said == ["broken"]


async def test_after_the_last_call_another_owner_waits_anew() -> None:
    later = Later(0.01)
    for owner in range(2):
        done = asyncio.Event()
        later.add(owner, done.set)
        await done.wait()

    assert len(later) == 0


async def test_once_closed_nobody_is_called() -> None:
    later = Later(0.0)
    called: list[str] = []
    later.add("one", partial(called.append, "one"))

    later.close()
    await asyncio.sleep(0.01)

    assert (called, len(later)) == ([], 0)
