"""Transfers over the API, over real HTTP to a real edge whose far end is called."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.errors import StoreError
from sipflow.media.voice import Voice
from sipflow.net.acl import Networks
from sipflow.store.phone_books import PhoneBooks
from sipflow.store.settings import Settings
from sipflow.webhooks.addresses import Guard
from sipflow.webhooks.exchange import Exchange
from sipflow.webhooks.sounds import WebSounds
from tests.api.callstage import OURS, CallStage, callstage
from tests.calls.outstage import refuses, rings_on
from tests.calls.stage import WAIT_S
from tests.calls.transfer.scene import LOUD_DBFS, MUSIC_HZ, Ear, pitches
from tests.webhooks.test_outbox import nowhere

HERE = "+12065550177"


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    folder = tmp_path / "sounds"
    folder.mkdir()
    tone = sine(440, 200)
    (folder / "tone.wav").write_bytes(wav_header(len(tone)) + tone)
    async with callstage(sqlite_settings, tmp_path, sounds=str(folder)) as made:
        made.near.switchboard.transfers.phone_book = PhoneBooks(made.database)
        yield made


async def transfer(edge: CallStage, call_id: str, **wanted: object) -> Any:
    """Begin a transfer; returns what is shown of it."""
    return (await edge.post(f"/v2/calls/{call_id}/transfer", {"phone": HERE, **wanted}))["response"]


async def shown(edge: CallStage, call_id: str) -> Any:
    return (await edge.get(f"/v2/calls/{call_id}/transfer"))["response"]


async def action(edge: CallStage, call_id: str) -> Any:
    """The last transfer in the call's `executed_actions`."""
    return list((await edge.one(call_id))["executed_actions"].values())[-1]


async def test_a_live_call_is_handed_to_a_person_in_the_words_of_the_reference(edge: CallStage) -> None:
    call_id, caller = await edge.called_in()
    begun = await transfer(edge, call_id, transfer_mode="warm_transfer", timeout=5, enable_background_music=True)
    await edge.happened(call_id, "human_connected")
    now = await shown(edge, call_id)
    live = await action(edge, call_id)
    await caller.hangup()
    await edge.over(call_id)
    over = await edge.one(call_id)

    assert (begun["mode"], begun["targets"], begun["status"]) == ("warm", [HERE], "transfer-started")
    assert begun["not_done"] == ["enable_background_music: there is no music; name a sound file in `music`"]
    assert (now["phase"], now["status"], now["target"], now["failed_reason"]) == (
        "connected", "transfer-success", HERE, None,
    )  # fmt: skip
    assert now["human_connected_at"] is not None
    assert [(each["method"], each["sip_status"], each["decided_by"]) for each in now["attempts"]] == [
        ("INVITE", 200, "destination")
    ]
    assert live["return_value"]["status"] == "transfer-success"
    done = over["executed_actions"]["action_transfer_call"]
    assert (done["name"], done["action_type"]) == ("transfer_call", "transfer_call_action_type")
    assert done["return_value"]["human_connected_at"] == over["sipflow"]["human_connected_at"] is not None
    assert [each["phone_number"] for each in done["timeline"]] == [HERE]


async def test_a_failure_leaves_the_call_with_its_agent_and_says_why(edge: CallStage) -> None:
    call_id, caller = await edge.called_in()
    edge.behaviour = refuses(486)
    await transfer(edge, call_id, mode="warm")
    await edge.happened(call_id, "transfer_over")
    now = await shown(edge, call_id)
    again = await transfer(edge, call_id, mode="warm", target=["sip:x@127.0.0.1:9"], phone=None, timeout=0.2)
    failed = (await edge.one(call_id))["executed_actions"]["action_transfer_call"]["return_value"]
    await caller.hangup()

    assert (now["phase"], now["status"], now["failed_reason"]) == (
        "over", "transfer-failed-busy", "destination_unavailable",
    )  # fmt: skip
    assert again["targets"] == ["sip:x@127.0.0.1:9"]
    assert failed == {"status": "transfer-failed-busy", "failed_reason": "destination_unavailable"}


async def test_a_call_is_taken_back_from_whoever_is_being_asked(edge: CallStage) -> None:
    call_id, caller = await edge.called_in()
    edge.behaviour = rings_on
    await transfer(edge, call_id, screened=True, whisper="tone.wav", music="tone.wav")
    await edge.happened(call_id, "transfer_leg")
    twice = await edge.refused("POST", f"/v2/calls/{call_id}/transfer", status=409, json={"phone": HERE})
    await edge.ask("DELETE", f"/v2/calls/{call_id}/transfer")
    now = await shown(edge, call_id)
    nothing = await edge.refused("DELETE", f"/v2/calls/{call_id}/transfer", status=409)
    alive = (await edge.one(call_id))["sipflow"]["live"]
    await caller.hangup()

    assert (now["status"], now["mode"], alive) == ("transfer-taken-back", "warm", True)
    assert twice.endswith("a transfer of this call is under way")
    assert nothing == f"call {call_id} is not being transferred"


async def test_a_phone_book_and_business_hours_say_who_is_called(edge: CallStage) -> None:
    books = PhoneBooks(edge.database)
    book = (await books.add("Desk")).phone_book_id
    await books.add_entry(book, HERE)
    call_id, caller = await edge.called_in()
    never = {"timezone": "UTC", "schedule": _not_today()}
    await transfer(edge, call_id, phone=None, phone_book_id=book, human_availability=never)
    await edge.happened(call_id, "transfer_over")
    outside = await shown(edge, call_id)
    await transfer(edge, call_id, phone=None, phone_book_id=book, human_availability={**never, "active": False})
    await edge.happened(call_id, "human_connected")
    inside = await shown(edge, call_id)
    await caller.hangup()

    assert (outside["status"], outside["failed_reason"]) == (
        "transfer-failed-outside-availability", "transfer_outside_availability",
    )  # fmt: skip
    assert inside["target"] == HERE


async def test_a_phone_book_that_cannot_be_read_leaves_the_call_with_its_agent(edge: CallStage) -> None:
    class Away:
        async def numbers(self, phone_book_id: str, entry_id: str = "") -> list[str]:
            raise StoreError("the database is away")

    edge.near.switchboard.transfers.phone_book = Away()
    call_id, caller = await edge.called_in()
    await transfer(edge, call_id, phone=None, phone_book_id="b1")
    await edge.happened(call_id, "transfer_over")
    now = await shown(edge, call_id)
    await asyncio.sleep(0)
    failures = edge.near.switchboard.tasks.failures
    await caller.hangup()

    assert (now["phase"], now["status"], failures) == ("over", "transfer-failed-connection-error", 0)


def _not_today() -> list[dict[str, object]]:
    """A schedule of one hour, three days from now."""
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%A").lower()
    return [{"weekday": day, "interval": [{"from": "12:00", "to": "13:00"}]}]


async def test_what_the_agent_would_say_and_what_nobody_can_do_is_told_and_not_hidden(edge: CallStage) -> None:
    call_id, caller = await edge.called_in()
    begun = await transfer(
        edge, call_id, transfer_mode="warm_transfer_with_context", goodbye_msg="Bye", failed_msg="Sorry",
        message_to_transfer_target="A caller", human_detection=True, human_detection_timeout_seconds=30,
    )  # fmt: skip
    await caller.hangup()

    assert begun["not_done"] == [
        "goodbye_msg: what the agent says is for the agent",
        "message_to_transfer_target: nobody here can speak a text; name a program in `calls.speak`",
        "failed_msg: nobody here can speak a text; name a program in `calls.speak`",
        "human_detection: there is no detector here",
    ]


async def test_a_text_is_spoken_to_whoever_answers_and_the_caller_is_joined_after_it(
    edge: CallStage, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    script = f"cat > {said}; cat {tmp_path / 'sounds' / 'tone.wav'}"
    edge.near.switchboard.transfers.voice = Voice(["sh", "-c", script])
    call_id, caller = await edge.called_in()
    begun = await transfer(
        edge, call_id, transfer_mode="warm_transfer", message_to_transfer_target="Call {call_id} {$(x)} for {agent}."
    )
    await edge.happened(call_id, "human_connected")
    whispered = edge.taken[-1].statistics
    await caller.hangup()
    await edge.over(call_id)

    assert begun["not_done"] == []
    assert said.read_text(encoding="utf-8") == f"Call {call_id} {{$(x)}} for desk."
    assert whispered is not None
    assert whispered.packets_received >= 10, "the 200 ms that the program gave"


async def test_the_caller_is_told_before_anybody_is_called_and_when_nobody_took_the_call(
    edge: CallStage, tmp_path: Path
) -> None:
    words = sine(MUSIC_HZ, 1500, level_dbfs=LOUD_DBFS)
    (tmp_path / "words.wav").write_bytes(wav_header(len(words)) + words)
    script = f"cat >> {tmp_path / 'said'}; cat {tmp_path / 'words.wav'}"
    edge.near.switchboard.transfers.voice = Voice(["sh", "-c", script])
    call_id, caller = await edge.called_in()
    edge.behaviour = refuses(486)
    heard = Ear(caller)
    before = len(edge.taken)
    await transfer(edge, call_id, transfer_mode="warm_transfer", initiating_msg="{callee}, ", failed_msg="sorry")
    await heard.comes_to_hear(MUSIC_HZ)
    called_while_told = len(edge.taken) - before
    await edge.happened(call_id, "transfer_over")
    async with asyncio.timeout(WAIT_S):
        while _words_ms(heard) < 2000:  # noqa: ASYNC110  (both, each of a second and a half)
            await asyncio.sleep(0.05)
    await caller.hangup()
    await edge.over(call_id)

    assert called_while_told == 0
    assert (tmp_path / "said").read_text(encoding="utf-8") == f"{OURS}, sorry"


async def test_taking_back_ends_what_the_caller_is_being_told_and_nobody_is_called(
    edge: CallStage, tmp_path: Path
) -> None:
    words = sine(MUSIC_HZ, 60_000, level_dbfs=LOUD_DBFS)
    (tmp_path / "words.wav").write_bytes(wav_header(len(words)) + words)
    edge.near.switchboard.transfers.voice = Voice(["sh", "-c", f"cat > /dev/null; cat {tmp_path / 'words.wav'}"])
    call_id, caller = await edge.called_in()
    heard = Ear(caller)
    await transfer(edge, call_id, mode="warm", initiating_msg="a long story", failed_msg="another one")
    await heard.comes_to_hear(MUSIC_HZ)
    begun = await shown(edge, call_id)
    await edge.ask("DELETE", f"/v2/calls/{call_id}/transfer")
    await heard.comes_to_hear()
    now = await shown(edge, call_id)
    await caller.hangup()
    await edge.over(call_id)

    assert (begun["phase"], begun["status"]) == ("begun", "transfer-started")
    assert (now["phase"], now["status"], now["attempts"]) == ("over", "transfer-taken-back", [])
    assert (await action(edge, call_id))["return_value"]["status"] == "transfer-taken-back"


async def test_music_of_a_url_is_looked_at_before_anything_is_begun(edge: CallStage) -> None:
    call_id, caller = await edge.called_in()
    url = f"/v2/calls/{call_id}/transfer"
    wanted = {"phone": HERE, "mode": "warm", "music": "https://10.0.0.1/a.mp3?key=secret"}
    nobody = await edge.refused("POST", url, status=409, json=wanted)
    guard = Guard(allowed=Networks(()), allow_http=False, resolve=nowhere)
    edge.near.switchboard.transfers.fetcher = WebSounds(guard, Exchange(guard))
    private = await edge.refused("POST", url, status=400, json=wanted)
    clear = await edge.refused("POST", url, status=400, json=wanted | {"music": "http://music.example/a.mp3"})
    begun = await transfer(edge, call_id, mode="warm", music="HTTPS://music.example/a.mp3")
    await edge.happened(call_id, "human_connected")
    await caller.hangup()
    await edge.over(call_id)

    assert nobody == "music: nobody here can fetch it from a URL"
    assert private.startswith("music: 10.0.0.1 is private: webhooks may not reach it")
    assert clear.startswith("music: the URL must begin with https://")
    assert begun["not_done"] == []


def _words_ms(heard: Ear) -> int:
    """How much of the words was heard, in milliseconds."""
    pcm = bytes(heard.pcm)
    return sum(100 for at in range(0, len(pcm) - 1600, 1600) if pitches(pcm[at : at + 1600]) == {MUSIC_HZ})


async def test_a_text_that_cannot_be_spoken_is_told_and_the_person_is_called_all_the_same(edge: CallStage) -> None:
    edge.near.switchboard.transfers.voice = Voice(["sh", "-c", "echo no such voice >&2; exit 4"])
    call_id, caller = await edge.called_in()
    begun = await transfer(edge, call_id, transfer_mode="warm_transfer", message_to_transfer_target="A caller.")
    await edge.happened(call_id, "human_connected")
    await caller.hangup()
    await edge.over(call_id)

    assert begun["not_done"] == ["message_to_transfer_target: sh ended with status 4: no such voice"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"phone": None}, "phone: it is missing; say `phone`, `phone_book_id` or `target`"),
        ({"phone": "two words"}, "target: 'two words' cannot be called: write E.164 as in +12065550100, an extension, "
         "or sip:user@host"),
        ({"headers": {"Via": "x"}}, "headers: 'Via' must be X- and then letters, digits, - or _"),
        ({"digits": "x"}, "extension: 'x' must be keys (0-9 * # A-D), with w, W or a comma for pauses, 64 at most"),
        ({"mode": "blind", "screened": True}, "mode: a blind transfer asks nobody; a whisper or acceptance needs warm"),
        ({"whisper": "../x.wav"}, "file: there is no sound '../x.wav' in the folder that `calls.sounds` names"),
        ({"human_availability": {"timezone": "Mars"}}, "timezone: 'Mars' is no IANA time zone; write one such as "
         "Europe/Berlin"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_refused_with_its_field(
    edge: CallStage, wanted: dict[str, object], says: str
) -> None:
    call_id, caller = await edge.called_in()
    said = await edge.refused("POST", f"/v2/calls/{call_id}/transfer", status=400, json={"phone": HERE} | wanted)
    none = await edge.refused("GET", f"/v2/calls/{call_id}/transfer", status=404)
    await caller.hangup()

    assert said == says
    assert none == f"call {call_id} has not been transferred"


async def test_only_live_calls_are_transferred_and_only_by_tokens_that_may(edge: CallStage) -> None:
    unknown = await edge.refused("POST", "/v2/calls/nobody/transfer", status=404, json={"phone": HERE})
    reader = await edge.token("calls:read")
    call_id, caller = await edge.called_in()
    await edge.refused("POST", f"/v2/calls/{call_id}/transfer", status=403, json={"phone": HERE}, headers=reader)
    await caller.hangup()
    await edge.over(call_id)
    over = await edge.refused("POST", f"/v2/calls/{call_id}/transfer", status=409, json={"phone": HERE})

    assert unknown == "there is no call 'nobody'"
    assert over == f"call {call_id} is over"
