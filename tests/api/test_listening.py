from types import SimpleNamespace
from typing import Any, cast

import pytest

from sipflow.api.listening import Listeners
from sipflow.calls.call import Call
from sipflow.errors import Conflict, LimitReached
from tests.media.stage import Stage


class Talk:
    """A call with audio, as far as listeners care."""

    def __init__(self, stage: Stage | None) -> None:
        self.id = "c1"
        self.ending = None
        self.media = SimpleNamespace(session=stage.session, agreed=stage.session.agreed) if stage is not None else None
        self.notes: list[tuple[str, dict[str, Any]]] = []

    def note(self, name: str, **details: Any) -> None:
        self.notes.append((name, details))


def call_of(talk: Talk) -> Call:
    return cast(Call, talk)


async def test_the_history_says_who_listens_and_until_when() -> None:
    async with Stage() as stage:
        talk = Talk(stage)
        with Listeners().one_more(call_of(talk), name="Ada"):
            during = (stage.session.tapped, list(talk.notes))
        after = (stage.session.tapped, talk.notes)

    assert during == (True, [("listening_started", {"by": "Ada"})])
    assert after == (False, [("listening_started", {"by": "Ada"}), ("listening_stopped", {"by": "Ada"})])


async def test_no_more_listen_than_may_and_whoever_leaves_makes_room() -> None:
    async with Stage() as stage:
        listeners, talk = Listeners(most=1), Talk(stage)
        first = listeners.one_more(call_of(talk), name="Ada")
        first.__enter__()
        with pytest.raises(LimitReached, match="1 listen to calls already"):
            listeners.one_more(call_of(talk), name="Bob").__enter__()
        first.__exit__(None, None, None)
        with listeners.one_more(call_of(talk), name="Bob") as listening:
            assert not listening.ended


async def test_what_has_no_audio_yet_cannot_be_listened_to() -> None:
    with pytest.raises(Conflict, match="there is no audio yet"):
        Listeners().one_more(call_of(Talk(None)), name="Ada").__enter__()
