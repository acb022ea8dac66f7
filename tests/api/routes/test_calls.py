"""Calls over the API, over real HTTP to a real edge: placed, listed, shown, acted on."""

import asyncio
import re
import shlex
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sipflow.audio.tones import level_dbfs, sine
from sipflow.audio.wav import wav_header
from sipflow.errors import LimitReached
from sipflow.store.settings import Settings
from tests.api.callstage import ADMIN, CALLEE, LEAD, OURS, SECOND, CallStage, callstage
from tests.calls.outstage import refuses, rings_on
from tests.house.tree import ROOT

BODY = {"model_id": "desk", "phone": CALLEE, "name": "Ada Lovelace"}
# The fields of the reference, as its list and its single call have them.
LISTED = {
    "call_id", "model_id", "duration", "end_call_reason", "judge_results", "lead_phone_number", "agents_used",
    "executed_actions", "recording_url", "type_of_call", "recording_duration", "transcript", "error_message",
    "call_status", "start_time", "lead_name", "name", "labels", "agent_phone_number", "deployment_type", "timezone",
    "telephony_hangup", "telephony_disconnect_reason", "telephony_duration", "telephony_start", "telephony_end",
    "campaign_type", "phone_number_from", "phone_number_to", "collected_variables",
}  # fmt: skip
ALONE = (LISTED - {"call_status"}) | {
    "status", "custom_end_call_reason", "prompt_variables", "telephony_ringing_duration",
}  # fmt: skip


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    folder = tmp_path / "sounds"
    folder.mkdir()
    tone = sine(440, 400)
    (folder / "tone.wav").write_bytes(wav_header(len(tone)) + tone)
    (folder / "text.wav").write_bytes(b"this is no sound")
    (tmp_path / "secret.wav").write_bytes(wav_header(len(tone)) + tone)
    async with callstage(sqlite_settings, tmp_path, sounds=str(folder)) as made:
        yield made


async def listed(edge: CallStage, **query: object) -> list[str]:
    """The ids of calls that a query finds, once their number is what the page says."""
    response = (await edge.get("/v2/calls", params=query))["response"]
    assert response["pagination"]["total_records"] >= len(response["calls"])
    return [call["call_id"] for call in response["calls"]]


# Placing


async def test_a_call_is_placed_and_its_agent_told_what_the_client_said(edge: CallStage) -> None:
    answer = await edge.post(
        "/v2/calls",
        {
            **BODY,
            "from_phone_number": OURS,
            "custom_variables": [{"key": "appointment", "value": "Tuesday"}, {"key": "places", "value": 2}],
            "lead_email": "ada@example.com",
            "lead_timezone": "Europe/London",
            "headers": {"X-Campaign": "7"},
            "labels": ["spring"],
            "some_field_of_another_version": True,
        },
    )
    call_id = answer["response"]["call_id"]
    await edge.happened(call_id, "answered")
    shown = await edge.one(call_id)

    assert answer == {
        "status": "ok",
        "response": {"answer": "the call is under way", "call_id": call_id},
        "eta": 0,
    }
    assert edge.taken[0].variables["X-Campaign"] == "7"
    assert edge.near.switchboard.calls[call_id].variables == {"appointment": "Tuesday", "places": "2"}
    assert (shown["status"], shown["timezone"], shown["labels"]) == ("in-progress", "Europe/London", ["spring"])
    assert shown["prompt_variables"] == {"appointment": "Tuesday", "places": "2"}
    assert set(shown) == ALONE | {"sipflow"}


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"model_id": "nobody"}, 404, "there is no agent 'nobody'"),
        ({"phone": "no number"}, 400, "phone: 'no number' is no number to call; write E.164, as in +12065550100"),
        ({"phone": None}, 400, "phone: input should be a valid string"),
        ({"name": None}, 400, "name: input should be a valid string"),
        ({"from_phone_number": SECOND}, 409, f"{SECOND} is none of the numbers of agent desk"),
        ({"headers": {"From": "me"}}, 400, "headers: 'From' is no name for a header of yours"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, 400, "headers.X-A: holds a line end"),
        ({"ring_timeout_seconds": 0}, 400, "ring_timeout_seconds: input should be greater than or equal to 1"),
        (
            {"custom_variables": [{"key": "", "value": "x"}]},
            400,
            "custom_variables.0.key: it must not be empty",
        ),
        ({"external_webhook_url": "ftp://x"}, 400, "external_webhook_url: write a URL, as in https://example.com/hook"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_is_refused_in_words(
    edge: CallStage, change: dict[str, object], status: int, sentence: str
) -> None:
    said = await edge.refused("POST", "/v2/calls", status=status, json={**BODY, **change})

    assert said.startswith(sentence)
    assert edge.desk.live() == {}


async def test_over_a_limit_a_call_is_refused_with_when_to_try_again(
    edge: CallStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise LimitReached(
            "agent desk has 5 calls, as many as it may have", limit="agents.desk.max_calls", retry_after_s=7
        )

    monkeypatch.setattr(edge.numbers, "choose", full)
    answer = await edge.client.post("/v2/calls", json=BODY, headers={"Idempotency-Key": "k"})
    monkeypatch.undo()
    again = await edge.client.post("/v2/calls", json=BODY, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["detail"]["description"] == "agent desk has 5 calls, as many as it may have"
    assert again.status_code == 200
    assert "Idempotency-Replayed" not in again.headers


async def test_a_call_that_may_wait_says_for_how_long_at_most(edge: CallStage) -> None:
    edge.numbers.line = asyncio.get_running_loop().create_future()
    answer = await edge.post("/v2/calls", {**BODY, "queue_seconds": 30})
    call_id = answer["response"]["call_id"]
    waiting = await edge.one(call_id)
    acted = await edge.refused("POST", f"/v2/calls/{call_id}/dtmf", status=409, json={"digits": "1"})
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    over = await edge.one(call_id)

    assert (answer["eta"], answer["response"]["answer"]) == (30, "the call waits for its turn")
    assert waiting["status"] == "pending"
    assert acted == f"call {call_id} has not reached anybody yet"
    assert over["status"] == "canceled"


# Idempotency


async def test_the_same_request_under_one_key_makes_one_call_and_gets_one_answer(edge: CallStage) -> None:
    answers = await asyncio.gather(
        *(edge.client.post("/v2/calls", json=BODY, headers={"Idempotency-Key": "order-7"}) for _ in range(20))
    )
    later = await edge.client.post(
        "/v2/calls", json=dict(reversed(BODY.items())), headers={"Idempotency-Key": "order-7"}
    )

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {later.text}
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers].count(None) == 1
    assert later.headers["Idempotency-Replayed"] == "true"
    assert len(edge.numbers.given) == 1


async def test_another_request_under_the_same_key_is_refused(edge: CallStage) -> None:
    headers = {"Idempotency-Key": "order-7"}
    await edge.post("/v2/calls", BODY, headers=headers)
    said = await edge.refused("POST", "/v2/calls", status=422, json={**BODY, "phone": LEAD}, headers=headers)

    assert said == "Idempotency-Key: this key came with another request before; a new request needs a new key"
    assert len(edge.numbers.given) == 1


async def test_a_key_belongs_to_its_client_and_none_means_every_time(edge: CallStage) -> None:
    one, other = await edge.token("calls:write"), await edge.token("calls:write")
    calls = [
        (await edge.post("/v2/calls", BODY, headers=headers))["response"]["call_id"]
        for headers in ({**one, "Idempotency-Key": "k"}, {**other, "Idempotency-Key": "k"}, one, one)
    ]

    assert len(set(calls)) == 4


async def test_a_refused_request_may_be_sent_again_under_its_key(edge: CallStage) -> None:
    headers = {"Idempotency-Key": "k"}
    await edge.refused("POST", "/v2/calls", status=404, json={**BODY, "model_id": "nobody"}, headers=headers)
    await edge.post("/v2/calls", BODY, headers=headers)


async def test_a_key_outlives_a_restart(sqlite_settings: Settings, tmp_path: Path) -> None:
    headers, answers = {"Idempotency-Key": "order-7"}, []
    for _ in range(2):
        async with callstage(sqlite_settings, tmp_path) as edge:
            answers.append(await edge.post("/v2/calls", BODY, headers=headers))
            placed = len(edge.numbers.given)

    assert answers[0] == answers[1]
    assert placed == 0


# Lists


async def test_a_list_has_live_calls_with_their_live_status_and_then_finished_ones(edge: CallStage) -> None:
    edge.behaviour = refuses(486)
    busy = await edge.place()
    await edge.over(busy)
    edge.behaviour = rings_on
    ringing = await edge.place()
    await edge.happened(ringing, "ringing")
    inbound, _ = await edge.called_in()
    response = (await edge.get("/v2/calls"))["response"]
    calls = response["calls"]

    assert response["pagination"] == {"total_records": 3, "limit": 20, "offset": 0}
    assert [(call["call_id"], call["call_status"], call["type_of_call"]) for call in calls] == [
        (inbound, "in-progress", "inbound"),
        (ringing, "ringing", "outbound"),
        (busy, "busy", "outbound"),
    ]
    assert all(set(call) == LISTED | {"sipflow"} for call in calls)
    assert (calls[0]["lead_phone_number"], calls[0]["agent_phone_number"]) == (LEAD, OURS)
    assert (calls[1]["lead_phone_number"], calls[1]["agent_phone_number"]) == (CALLEE, OURS)
    assert calls[0]["sipflow"]["codec"] == "PCMU"


async def test_every_filter_lets_the_right_calls_through(edge: CallStage) -> None:
    edge.behaviour = refuses(486)
    busy = await edge.place(phone="+12065550777")
    await edge.over(busy)
    between = datetime.now(UTC)
    edge.behaviour = rings_then_answers
    other = await edge.answered(model_id="other")
    inbound, _ = await edge.called_in()
    ms = int(between.timestamp() * 1000)
    today = between.strftime("%Y-%m-%d")
    queries: dict[str, dict[str, object]] = {
        "agent": {"model_id": "other"},
        "status": {"call_status": "busy"},
        "live status": {"call_status": "in-progress"},
        "lead": {"lead_phone_number": "+12065550777"},
        "lead of a live one": {"lead_phone_number": LEAD},
        "direction": {"direction": "inbound"},
        "number": {"number": OURS},
        "either party": {"number": "+12065550777"},
        "trunk": {"trunk": "local"},
        "another trunk": {"trunk": "nowhere"},
        "from": {"from_date": str(ms)},
        "to": {"to_date": str(ms)},
        "today": {"from_date": today, "to_date": today},
        "until the last day": {"from_date": today, "to_date": "9999-12-31"},
        "long ago": {"to_date": "2020-01-01"},
        "long": {"duration_min": 3600},
        "short": {"duration_max": 0},
        "both": {"direction": "outbound", "call_status": "busy"},
    }
    found = {name: await listed(edge, **query) for name, query in queries.items()}

    assert found == {
        "agent": [other],
        "status": [busy],
        "live status": [inbound, other],
        "lead": [busy],
        "lead of a live one": [inbound],
        "direction": [inbound],
        "number": [inbound, other, busy],
        "either party": [busy],
        "trunk": [inbound, other, busy],
        "another trunk": [],
        "from": [inbound, other],
        "to": [busy],
        "today": [inbound, other, busy],
        "until the last day": [inbound, other, busy],
        "long ago": [],
        "long": [],
        "short": [busy],
        "both": [busy],
    }


async def test_calls_are_found_by_a_part_of_what_they_are_called_and_by_being_live(edge: CallStage) -> None:
    edge.behaviour = refuses(486)
    busy = await edge.place(phone="+12065550777")
    await edge.over(busy)
    edge.behaviour = rings_then_answers
    other = await edge.answered()
    inbound, _ = await edge.called_in()
    queries: list[dict[str, object]] = [
        {"live": True},
        {"live": True, "limit": 1, "offset": 1},
        {"live": True, "call_status": "busy"},
        {"text": "5550777"},
        {"text": other[3:12]},
        {"text": "no such thing"},
    ]
    found = [await listed(edge, **query) for query in queries]

    assert found == [[inbound, other], [other], [], [busy], [other], []]


async def rings_then_answers(call: Any) -> None:
    await call.ring()
    await call.answer()
    await call.ended()


async def test_a_plus_that_was_not_encoded_is_mended(edge: CallStage) -> None:
    edge.behaviour = refuses(486)
    busy = await edge.place()
    await edge.over(busy)
    response = await edge.get(f"/v2/calls?lead_phone_number={CALLEE}")  # httpx leaves + as it is: a space

    assert [call["call_id"] for call in response["response"]["calls"]] == [busy]


async def test_pages_have_every_call_once_live_ones_among_finished_ones(edge: CallStage) -> None:
    made: list[str] = []
    for number in range(7):
        edge.behaviour = rings_on if number in (1, 4) else refuses(486)
        call_id = await edge.place()
        await (edge.happened(call_id, "ringing") if number in (1, 4) else edge.over(call_id))
        made.insert(0, call_id)
    pages = [await listed(edge, limit=limit, offset=offset) for limit in (1, 2, 3) for offset in range(0, 9, limit)]
    by_limit = {1: pages[:9], 2: pages[9:14], 3: pages[14:]}

    for limit, parts in by_limit.items():
        assert [call_id for part in parts for call_id in part] == made, limit
        assert all(len(part) <= limit for part in parts)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"from_date": "yesterday"}, "from_date: write milliseconds since 1970, or a day as YYYY-MM-DD"),
        ({"to_date": "2026-02-30"}, "to_date: write milliseconds since 1970, or a day as YYYY-MM-DD"),
        ({"to_date": "99999999999999"}, ""),
        ({"from_date": "²"}, "from_date: write milliseconds since 1970, or a day as YYYY-MM-DD"),
        ({"limit": 0}, "limit: input should be greater than or equal to 1"),
        ({"offset": -1}, "offset: input should be greater than or equal to 0"),
        ({"duration_min": "long"}, "duration_min: input should be a valid number, unable to parse string as a number"),
    ],
)
async def test_a_query_that_cannot_be_read_is_refused(edge: CallStage, query: dict[str, Any], sentence: str) -> None:
    if sentence:
        assert await edge.refused("GET", "/v2/calls", status=400, params=query) == sentence
    else:
        assert await listed(edge, **query) == []


async def test_an_unknown_status_is_refused_with_those_there_are(edge: CallStage) -> None:
    said = await edge.refused("GET", "/v2/calls", status=400, params={"call_status": "done"})

    assert said.startswith("call_status: input should be 'pending', 'ringing', 'in-progress', 'completed'")


# One call


async def test_a_finished_call_is_shown_with_the_units_of_the_reference(edge: CallStage) -> None:
    call_id = await edge.answered()
    await asyncio.sleep(0.6)
    await edge.post(f"/v2/calls/{call_id}/hangup", {"custom_end_call_reason": "appointment made"})
    await edge.over(call_id)
    response = (await edge.get(f"/v2/calls/{call_id}"))["response"]
    (call,) = response["calls"]
    start, end = (datetime.fromisoformat(call[f"telephony_{name}"]) for name in ("start", "end"))

    assert response["pagination"] == {"total_records": 1, "limit": 1, "offset": 0}
    assert 1 <= call["duration"] <= round(call["telephony_duration"] / 1000 + 0.5)  # whole seconds, from the answer
    assert call["telephony_duration"] == pytest.approx((end - start).total_seconds() * 1000, abs=1)
    assert 0 <= call["telephony_ringing_duration"] < call["telephony_duration"]
    assert int(call["start_time"]) == pytest.approx(start.timestamp() * 1000, abs=1)
    assert (call["status"], call["end_call_reason"]) == ("completed", "custom_end_call")
    assert call["custom_end_call_reason"] == "appointment made"
    assert (call["telephony_hangup"], call["telephony_disconnect_reason"]) == ("caller", "caller_hangup")
    assert call["sipflow"]["quality"]["mos"] > 3
    assert (call["sipflow"]["live"], call["sipflow"]["ending"]["why"]) == (False, "hung up over the API")


async def test_a_call_that_failed_says_why_in_the_words_of_the_reference(edge: CallStage) -> None:
    edge.behaviour = refuses(603)
    call_id = await edge.place()
    await edge.over(call_id)
    call = await edge.one(call_id)

    assert call["status"] == "failed"
    assert call["error_message"].startswith("Telephony - 603 - Decline")
    assert [attempt["sip_status"] for attempt in call["sipflow"]["attempts"]] == [603]


async def test_a_call_that_is_not_there_is_404_whatever_is_asked_of_it(edge: CallStage) -> None:
    paths = {
        "GET": ["", "/events", "/events/stream", "/recording"],
        "POST": [
            "/hangup",
            "/hold",
            "/resume",
            "/mute",
            "/unmute",
            "/play/stop",
            "/recording/start",
            "/recording/stop",
        ],
        "DELETE": ["/recording"],
    }
    said = {
        await edge.refused(method, f"/v2/calls/nothing{path}", status=404)
        for method, all in paths.items()
        for path in all
    }

    assert said == {"there is no call 'nothing'"}


# Live calls


async def test_what_is_done_to_a_call_that_is_over_is_a_conflict(edge: CallStage) -> None:
    call_id = await edge.answered()
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    said = {
        await edge.refused("POST", f"/v2/calls/{call_id}/{act}", status=409, json=body)
        for act, body in {
            "hangup": {}, "dtmf": {"digits": "1"}, "hold": None, "resume": None, "mute": None, "unmute": None,
            "play": {"file": "tone.wav"}, "play/stop": None, "recording/start": None, "recording/pause": None,
            "recording/resume": None, "recording/stop": None,
        }.items()
    }  # fmt: skip

    assert said == {f"call {call_id} is over"}


async def test_hanging_up_tells_the_far_end_why(edge: CallStage) -> None:
    call_id = await edge.answered()
    await edge.post(f"/v2/calls/{call_id}/hangup", {"reason": "the office closes"})
    ending = await edge.taken[0].ended()

    assert (ending.q850, ending.why) == (16, "the far end hung up (the office closes)")


async def test_a_ringing_call_out_is_cancelled(edge: CallStage) -> None:
    edge.behaviour = rings_on
    call_id = await edge.place()
    await edge.happened(call_id, "ringing")
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    call = await edge.one(call_id)

    assert (call["status"], call["sipflow"]["ending"]["by"], call["duration"]) == ("canceled", "local", 0)


async def test_a_call_that_is_over_is_shown_while_the_store_cannot_write_it(edge: CallStage, tmp_path: Path) -> None:
    call_id = await edge.answered()
    with closing(sqlite3.connect(tmp_path / "sipflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await edge.post(f"/v2/calls/{call_id}/hangup")
        await edge.over(call_id)
        call, events = await edge.one(call_id), await edge.get(f"/v2/calls/{call_id}/events")

    assert (call["call_id"], call["status"]) == (call_id, "completed")
    assert [each["name"] for each in events["response"]["events"]][-1] == "ended"


async def test_digits_are_sent_and_their_values_stand_in_no_history(edge: CallStage) -> None:
    call_id = await edge.answered()
    heard = edge.taken[0].dtmf
    await edge.post(f"/v2/calls/{call_id}/dtmf", {"digits": "12#a"})
    pressed = [await anext(heard) for _ in range(4)]
    events = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]["events"]

    assert pressed == ["1", "2", "#", "A"]
    assert (events[-1]["name"], events[-1]["details"]) == ("digits_sent", {"digits": 4, "by": "api"})
    assert "pattern" in await edge.refused("POST", f"/v2/calls/{call_id}/dtmf", status=400, json={"digits": "0x"})


async def test_a_call_is_put_on_hold_and_taken_back(edge: CallStage) -> None:
    call_id = await edge.answered()
    seen = [edge.taken[0].held]
    for act in ("hold", "hold", "resume", "resume"):
        await edge.post(f"/v2/calls/{call_id}/{act}")
        seen.append(edge.taken[0].held)

    assert seen == [False, True, True, False, False]


async def test_a_muted_agent_is_not_heard_and_hears(edge: CallStage) -> None:
    call_id = await edge.answered()
    call, levels = edge.near.switchboard.calls[call_id], []
    for act in ("mute", "unmute"):
        await edge.post(f"/v2/calls/{call_id}/{act}")
        heard = edge.taken[0].audio
        await call.play(sine(440, 200))
        levels.append(max([level_dbfs((await anext(heard)).pcm) for _ in range(10)]))

    assert levels[0] < -60
    assert levels[1] > -30


async def test_a_call_that_only_rings_is_not_ready_for_audio(edge: CallStage) -> None:
    edge.behaviour = rings_on
    call_id = await edge.place()
    await edge.happened(call_id, "ringing")
    said = [
        await edge.refused("POST", f"/v2/calls/{call_id}/{act}", status=409, json=body)
        for act, body in {"dtmf": {"digits": "1"}, "mute": None, "hold": None, "play": {"file": "tone.wav"}}.items()
    ]

    assert all(sentence.startswith(f"call {call_id}: there is no audio yet") for sentence in said)


# Who may


async def test_reading_and_acting_need_their_scopes(edge: CallStage) -> None:
    call_id = await edge.answered()
    reader, stranger = await edge.token("calls:read"), await edge.token("numbers:write")
    await edge.get("/v2/calls", headers=reader)
    await edge.get(f"/v2/calls/{call_id}", headers=reader)
    refused = [
        (await edge.client.request(method, path, json=BODY, headers=headers)).status_code
        for method, path, headers in (
            ("POST", "/v2/calls", reader),
            ("POST", f"/v2/calls/{call_id}/hangup", reader),
            ("GET", "/v2/calls", stranger),
            ("GET", f"/v2/calls/{call_id}/recording", reader),
            ("GET", "/v2/events", stranger),
        )
    ]

    assert refused == [403] * 5
    assert edge.desk.live_one(call_id) is not None


# The page


def requests_of(page: str) -> list[tuple[str, str, dict[str, str], str]]:
    """Every command of the page, as method, path, headers and body."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line)
            assert words[0] == "curl"
            said = {
                name: [words[at + 1] for at, word in enumerate(words) if word == name] for name in ("-X", "-H", "-d")
            }
            url = next(word for word in words if word.startswith("http://127.0.0.1:8080"))
            headers = dict(each.split(": ", 1) for each in said["-H"])
            query = "?" + "&".join(said["-d"]) if "-G" in words else ""
            body = "" if query else "".join(said["-d"])
            found.append(
                ("".join(said["-X"]) or "GET", url.removeprefix("http://127.0.0.1:8080") + query, headers, body)
            )
    return found


async def test_the_commands_of_the_page_work(edge: CallStage) -> None:
    page = await asyncio.to_thread((ROOT / "docs" / "calls_api.md").read_text, encoding="utf-8")
    call_id = await edge.answered()
    await edge.post(f"/v2/calls/{call_id}/recording/start")
    statuses = {}
    for method, path, headers, body in requests_of(page):
        path = path.replace("$CALL_ID", call_id)
        headers["Authorization"] = headers["Authorization"].replace("$SIPFLOW_TOKEN", ADMIN)
        answer = await edge.client.request(method, path, headers=headers, content=body or None)
        statuses[f"{method} {path.replace(call_id, 'ID')}"] = answer.status_code

    assert statuses == {
        "POST /v2/calls": 200,
        "GET /v2/calls?call_status=completed&from_date=2026-11-01&limit=50": 200,
        "GET /v2/calls/ID": 200,
        "POST /v2/calls/ID/dtmf": 200,
        "POST /v2/calls/ID/hangup": 200,
        "GET /v2/calls/ID/events/stream": 200,
        "GET /v2/calls/ID/recording": 302,
        "POST /v2/prepare_inbound": 200,
    }
