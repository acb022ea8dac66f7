"""Pools over the API: made, shown, changed, deleted; how numbers stand; limits."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from sipflow.numbers.inventory import Number
from sipflow.numbers.resting import Outcome
from sipflow.trunks.fields import TrunkFields
from tests.api.pooled import Pooled
from tests.api.stage import DECLARED_AGENT, Stage

A, B = "+12065550100", "+12065550101"
FREE = {"max_calls": None, "calls_per_second": None, "calls_per_day": None}
REST = {
    "enabled": True, "for_s": 3600.0, "at_most_s": 86400.0, "after_calls": 30, "share": 0.5, "probation_calls": 10,
}  # fmt: skip


@pytest_asyncio.fixture
async def pooled(api: Stage) -> AsyncIterator[Pooled]:
    """Two numbers, one of them declared, and the pools of the edge behind `api`."""
    await api.directory.add_number(B, TrunkFields(sip_domain="pbx.example.com"))
    made = Pooled([Number(A, trunk="pbx", outbound_agents=(DECLARED_AGENT,)), Number(B, trunk=B)])
    api.context.pools = await made.desk(api.database)
    yield made


def line(**changes: Any) -> dict[str, Any]:
    """A pool as the API shows it."""
    whole = {
        "name": "sales", "strategy": ["round_robin"], "caps": FREE, "rest": REST, "remember": 100_000,
        "declared": False, "created_at": "2026-11-21T12:00:00Z", "updated_at": None, "answer_rate": None,
        "number_count": 2, "states": {"free": 2},
    }  # fmt: skip
    return whole | changes


def number(phone_number: str, **changes: Any) -> dict[str, Any]:
    """A number of a pool as the API shows it."""
    whole = {
        "phone_number": phone_number, "slug": phone_number[1:], "weight": 1.0, "caps": FREE, "state": "free",
        "why": "", "free_at": None, "calls_up": 0, "calls_today": 0, "last_used_at": None, "answer_rate": None,
    }  # fmt: skip
    return whole | changes


def call(pooled: Pooled, agent: str, outcome: Outcome | None = None) -> None:
    """Place a call and, with an outcome, end it."""
    limits = pooled.limits
    picked = pooled.pools.choose(agent, "+13125550123", now=limits.now, day=limits.day)
    pooled.pools.took(picked, "+13125550123", now=limits.now, day=limits.day)
    if outcome is not None:
        pooled.pools.released(picked, outcome, now=limits.now, day=limits.day)


async def test_a_pool_is_made_shown_changed_and_deleted(api: Stage, pooled: Pooled) -> None:
    made = await api.post("/v2/pools", {"name": "sales", "numbers": [A, {"phone_number": B, "weight": 3}]})
    shown = await api.get("/v2/pools/sales")
    pooled.now += 60
    changed = await api.patch("/v2/pools/sales", {"strategy": ["sticky", "weighted"], "max_calls": 2, "remember": 5})
    cleared = await api.patch("/v2/pools/sales", {"max_calls": None, "numbers": [B], "rest": {"enabled": False}})
    gone = await api.delete("/v2/pools/sales")

    assert made == {"status": "ok", "response": line()}
    assert shown["response"] == {
        **line(),
        "pagination": {"total_records": 2, "limit": 100, "offset": 0},
        "numbers": [number(A), number(B, weight=3.0)],
    }
    later = {"updated_at": "2026-11-21T12:01:00Z", "strategy": ["sticky", "weighted"], "remember": 5}
    assert changed["response"] == line(**later, caps={**FREE, "max_calls": 2})
    assert cleared["response"] == line(**later, rest={**REST, "enabled": False}, number_count=1, states={"free": 1})
    assert gone == {"status": "ok"}
    assert [each["name"] for each in (await api.get("/v2/pools"))["response"]["pools"]] == ["house"]


async def test_each_number_says_how_it_stands_and_why(api: Stage, pooled: Pooled) -> None:
    pooled.agents["bot"] = "sales"
    await api.post("/v2/pools", {"name": "sales", "numbers": [A, B], "max_calls": 1, "calls_per_day": 1})
    call(pooled, "bot", Outcome.BLOCKED)
    call(pooled, "bot")
    one, two = (await api.get("/v2/pools/sales"))["response"]["numbers"]
    pooled.now += 3600.0
    (after,) = (await api.get("/v2/pools/sales?limit=1"))["response"]["numbers"]
    summary = (await api.get("/v2/pools"))["response"]["pools"][1]
    woken = await api.post(f"/v2/numbers/{A[1:]}/wake")
    (awake,) = (await api.get("/v2/pools/sales?limit=1"))["response"]["numbers"]

    caps = {"max_calls": 1, "calls_per_second": None, "calls_per_day": 1}
    used = {"caps": caps, "calls_today": 1, "last_used_at": "2026-11-21T12:00:00Z"}
    why = "somebody on the way blocks it as spam (608)"
    assert one == number(A, **used, state="resting", why=f"it rests: {why}", free_at="2026-11-21T13:00:00Z")
    full = {"state": "day_full", "free_at": "2026-11-22T00:00:00Z"}
    assert two == number(B, **used, **full, why="it has had its calls of the day", calls_up=1)
    assert after == number(A, **used, **full, why=f"it has had its calls of the day; it rested: {why}")
    assert summary["states"] == {"free": 0, "resting": 1, "day_full": 1}  # nobody has looked since
    assert (woken, awake["state"]) == ({"status": "ok"}, "day_full")


async def test_a_number_on_probation_says_so(api: Stage, pooled: Pooled) -> None:
    pooled.agents["bot"] = "house"
    call(pooled, "bot", Outcome.UNWANTED)
    pooled.now += 3600.0
    (found,) = (await api.get("/v2/pools/house"))["response"]["numbers"]

    assert (found["state"], found["why"]) == (
        "probation",
        "it is back from a rest, for one call at a time until one is answered: a callee marked it as unwanted (607)",
    )


async def test_an_agents_own_numbers_can_be_seen(api: Stage, pooled: Pooled) -> None:
    own = await api.get(f"/v2/assistants/{DECLARED_AGENT}/pool")
    pooled.agents[DECLARED_AGENT] = "house"
    named = await api.get(f"/v2/assistants/{DECLARED_AGENT}/pool")

    pages = {"total_records": 1, "limit": 100, "offset": 0}
    assert own["response"] == {"pool": "", "pagination": pages, "numbers": [number(A)]}
    assert named["response"] == {"pool": "house", "pagination": pages, "numbers": [number(A)]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "why"),
    [
        ("POST", "/v2/pools", {"name": "p", "numbers": ["+12065550177"]}, 400,
         "numbers: there is no number '+12065550177'; import it first"),
        ("POST", "/v2/pools", {"name": "p", "numbers": [A, "+1 206 555 0100"]}, 400,
         "numbers: '+1 206 555 0100' is given twice"),
        ("POST", "/v2/pools", {"name": "p", "numbers": []}, 400, "numbers: "),
        ("POST", "/v2/pools", {"name": "p", "numbers": [A], "strategy": "fair"}, 400, "strategy.0: "),
        ("POST", "/v2/pools", {"name": "p", "numbers": [A], "strategy": ["weighted", "sticky"]}, 400,
         "strategy: weighted, sticky, round_robin: each once, and one of "),
        ("POST", "/v2/pools", {"name": "p", "numbers": [A], "max_calls": 0}, 400, "max_calls: "),
        ("POST", "/v2/pools", {"name": "p", "numbers": [A], "rest": {"for_s": 90_000}}, 400,
         "rest.for_s: must be more than 0 and at most at_most_s, not 90000"),
        ("POST", "/v2/pools", {"name": "house", "numbers": [A]}, 409, "there is a pool 'house' already"),
        ("PATCH", "/v2/pools/house", {"remember": 5}, 409, "pool 'house' is declared in the configuration"),
        ("DELETE", "/v2/pools/house", None, 409, "pool 'house' is declared in the configuration"),
        ("GET", "/v2/pools/none", None, 404, "there is no pool 'none'"),
        ("PATCH", "/v2/pools/none", {}, 404, "there is no pool 'none'"),
        ("DELETE", "/v2/pools/none", None, 404, "there is no pool 'none'"),
        ("GET", "/v2/assistants/none/pool", None, 404, ""),
        ("POST", "/v2/numbers/999/wake", None, 404, ""),
        ("POST", f"/v2/numbers/{B[1:]}/wake", None, 404, f"number {B} is in no pool"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_with_a_sentence(
    api: Stage, pooled: Pooled, method: str, path: str, body: object, status: int, why: str
) -> None:
    answer = await api.ask(method, path, status=status, json=body)

    assert answer["detail"]["description"].startswith(why)


async def test_a_pool_that_agents_call_from_stays(api: Stage, pooled: Pooled) -> None:
    await api.post("/v2/pools", {"name": "sales", "numbers": [A]})
    pooled.agents["bot"] = "sales"
    answer = await api.delete("/v2/pools/sales", status=409)

    assert answer["detail"]["description"] == "pool 'sales' cannot go: bot would have no numbers to call from"


async def test_numbers_come_in_pages_and_wildcards_stand_for_what_is_listed(api: Stage, pooled: Pooled) -> None:
    await api.post("/v2/pools", {"name": "all", "numbers": ["+1206*"]})
    shown = (await api.get("/v2/pools/all?limit=1&offset=1"))["response"]

    assert (shown["number_count"], [each["phone_number"] for each in shown["numbers"]]) == (2, [B])


async def test_limits_say_how_many_calls_are_up_and_wait(api: Stage, pooled: Pooled) -> None:
    pooled.limits.admit_inbound("pbx", A, "desk")
    pooled.limits.admit_outbound("pbx", "bot")

    assert (await api.get("/v2/limits"))["response"] == {
        "calls": 2, "waiting": 3, "by_trunk": {"pbx": 2}, "by_agent": {"desk": 1, "bot": 1},
    }  # fmt: skip


async def test_who_may_read_may_not_write(api: Stage, pooled: Pooled) -> None:
    headers = {"Authorization": f"Bearer {await api.token('numbers:read')}"}
    await api.get("/v2/pools", headers=headers)
    await api.post("/v2/pools", {"name": "p", "numbers": [A]}, status=403, headers=headers)
    await api.get("/v2/limits", status=403, headers=headers)


async def test_without_pools_the_api_says_that_they_do_not_run(api: Stage) -> None:
    answer = await api.get("/v2/pools", status=503)

    assert answer["detail"]["description"] == "the part that has the pools does not run here"


async def test_an_agent_names_its_pool_and_one_that_is_not_there_is_refused(api: Stage, pooled: Pooled) -> None:
    agent = {"type": "outbound", "name": "caller", "agent": {}, "handler": "echo"}
    made = await api.post("/v2/assistants", agent | {"pool": "house", "max_calls": 3})
    model_id = made["response"]["model_id"]
    (shown,) = (await api.get(f"/v2/assistants/{model_id}"))["response"]["assistants"]
    for method, path in (("POST", "/v2/assistants"), ("PUT", f"/v2/assistants/{model_id}")):
        answer = await api.ask(method, path, status=400, json=agent | {"pool": "none"})
        assert answer["detail"]["description"] == "pool: there is no pool 'none'"

    assert (shown["pool"], shown["max_calls"]) == ("house", 3)
