import asyncio

import pytest

from sipflow.console.sessions import Session, Sessions


class Clock:
    """Seconds that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(60, 3, clock=clock)


def test_a_cookie_opens_its_own_session_until_the_time_is_over(sessions: Sessions, clock: Clock) -> None:
    one, other = sessions.begin("Bearer one"), sessions.begin("Bearer other")
    found = [sessions.find(sessions.cookie(each)) for each in (one, other)]
    clock.now += 59.5
    late = sessions.find(sessions.cookie(one))
    clock.now += 0.5

    assert found == [one, other]
    assert late is one
    assert sessions.find(sessions.cookie(one)) is None


def test_what_was_not_made_here_or_was_changed_opens_nothing(sessions: Sessions, clock: Clock) -> None:
    session = sessions.begin("Bearer one")
    cookie = sessions.cookie(session)
    id, ends_at, signature = cookie.split(".")
    elsewhere = Sessions(60, 3, clock=clock).cookie(session)
    forged = [
        "",
        ".",
        "..",
        id,
        f"{id}.{ends_at}",
        f"{id}.{int(ends_at) + 1}.{signature}",
        f"{cookie}0",
        "é.1.é",
        elsewhere,
    ]

    assert [sessions.find(each) for each in forged] == [None] * len(forged)
    assert sessions.find(cookie) is session


def test_the_cookie_and_the_repr_tell_nothing_of_the_token(sessions: Sessions) -> None:
    session = sessions.begin("Bearer open-sesame")

    assert "sesame" not in f"{sessions.cookie(session)} {session!r}"


async def test_a_session_that_is_ended_is_no_more(sessions: Sessions) -> None:
    session = sessions.begin("Bearer one")
    sessions.end(session)
    sessions.end(session)

    assert sessions.find(sessions.cookie(session)) is None


async def test_the_oldest_makes_room(sessions: Sessions) -> None:
    begun = [sessions.begin(f"Bearer {number}") for number in range(4)]

    assert [sessions.find(sessions.cookie(each)) for each in begun] == [None, *begun[1:]]


async def test_what_is_being_sent_is_cut_off_when_the_session_ends(sessions: Sessions) -> None:
    async def send(session: Session) -> str:
        with sessions.lasting(session) as limit:
            try:
                async with limit:
                    await asyncio.Event().wait()
            except TimeoutError:
                return "cut off"
        return "went on"

    one, other = sessions.begin("Bearer one"), sessions.begin("Bearer other")
    sending = [asyncio.ensure_future(send(each)) for each in (one, other)]
    await asyncio.sleep(0)
    sessions.end(one)
    done, waiting = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    sending[1].cancel()

    assert [each.result() for each in done] == ["cut off"]
    assert waiting == {sending[1]}
    assert one.under_way == set()
