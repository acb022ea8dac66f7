import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sipflow.agents.spec import AgentSpec
from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.limits import Limit, LimitSettings
from sipflow.calls.record import CallRecord
from sipflow.errors import CallFailed
from sipflow.store.database import Database
from sipflow.store.deliveries import FAILED, SUCCESS, Deliveries, Delivery, DeliveryAttempt, LogFilter
from sipflow.webhooks.addresses import Guard
from sipflow.webhooks.asking import Asking
from sipflow.webhooks.hooks import Hooks
from sipflow.webhooks.inbound import Steering
from sipflow.webhooks.settings import Settings
from sipflow.webhooks.signing import verify, verify_compatible
from tests.calls.stage import NUMBER, Stage, staged
from tests.webhooks.receiver import WAIT_S, Answer, Receiver
from tests.webhooks.test_outbox import nowhere

SECRET = "a secret of many characters"
SETTINGS = Settings(
    secret=(SECRET,), allow_networks=("127.0.0.1/32",), allow_http=True, inbound_timeout_s=0.3, inbound_retries=3
)


@dataclass
class Scene:
    """An edge whose agent has an inbound-call webhook.

    Attributes:
        seen: which agent ran, and the variables that it saw.
    """

    stage: Stage
    receiver: Receiver
    store: Database
    seen: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def record(self) -> CallRecord:
        """Of the only call so far."""
        (record,) = self.stage.kept.records
        return record

    async def call(self, *headers: tuple[str, str]) -> int:
        """Call the number, talk for a moment; return the status."""
        try:
            call = await self.stage.call(headers=headers)
        except CallFailed as failed:
            status = failed.status
        else:
            status = 200
            await call.hangup()
        await self.stage.quiet()
        return status

    async def log(self) -> tuple[Delivery, list[DeliveryAttempt]]:
        """Wait for what the log has of the request."""
        deliveries = Deliveries(self.store)
        async with asyncio.timeout(WAIT_S):
            while not (found := (await deliveries.page(LogFilter(), limit=2, offset=0))[1]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        ((delivery, _),) = found
        return await deliveries.find(delivery.id)


@asynccontextmanager
async def scene(
    store: Database, receiver: Receiver, *answers: Answer, settings: Settings = SETTINGS, opened: bool = True
) -> AsyncIterator[Scene]:
    url = receiver.script("/inbound", *answers)
    seen: list[tuple[str, Mapping[str, str]]] = []

    def runs(name: str) -> Any:
        async def agent(call: InboundCall) -> None:
            seen.append((name, dict(call.variables)))
            await call.answer()
            await call.ended()

        return agent

    async with staged(runs("agent")) as stage:
        stage.agent.runner._agents["sales"] = (AgentSpec("sales", "test"), runs("sales"))
        hooks = {"agent": Hooks(inbound_call_webhook_url=url)}
        board = stage.callee.switchboard
        steering = Steering(
            board.agents, settings, hooks=lambda name: hooks.get(name, Hooks()), tasks=board.tasks, pause_s=0.05
        )
        board.agents = steering
        board.steers, steering.hand_over = steering.steers, board.hand_over
        guard = Guard(allowed=settings.allowed, allow_http=settings.allow_http, resolve=nowhere)
        asking = Asking(settings, guard, user_agent="sipflow/test")
        asking.deliveries = Deliveries(store)
        if opened:
            steering.open(asking)
        else:
            asyncio.get_running_loop().call_later(0.3, steering.open, asking)
        try:
            yield Scene(stage, receiver, store, seen)
        finally:
            await asking.close()


def says(**inbound: object) -> Answer:
    return Answer(body=json.dumps({"call_inbound": inbound}).encode())


async def test_the_webhook_is_asked_before_the_agent_runs_with_a_signed_request(
    store: Database, receiver: Receiver
) -> None:
    async with scene(store, receiver, says(override_model_id="")) as played:
        status = await played.call(("X-Customer", "7"))
        (got,) = receiver.got
        delivery, attempts = await played.log()
        record = played.record

    asked = json.loads(got.body)
    assert asked == {
        "event": "call_inbound",
        "call_inbound": {
            "model_id": "agent",
            "from_number": "caller",
            "to_number": NUMBER,
            "call_id": record.id,
            "started_at": asked["call_inbound"]["started_at"],
            "trunk": "local",
            "diversion": "",
            "external_id": "",
            "custom_variables": {"X-Customer": "7"},
        },
    }
    assert verify(SECRET, got.headers, got.body)
    assert verify_compatible(SECRET, got.headers, record.id)
    assert (got.headers["x-sipflow-event"], got.headers["user-agent"]) == ("call_inbound", "sipflow/test")
    assert (status, played.seen) == (200, [("agent", {"X-Customer": "7"})])
    assert record.why[-1] == "the inbound-call webhook left the call to agent"
    assert (delivery.id, delivery.webhook_type, delivery.status) == (f"inb_{record.id}", "inbound_webhook", SUCCESS)
    assert [(each.attempt_number, each.status_code, each.error_message) for each in attempts] == [(1, 200, "")]


async def test_the_caller_hears_ringing_while_the_webhook_thinks(store: Database, receiver: Receiver) -> None:
    gate = asyncio.Event()
    slow = replace(says(override_model_id=""), until=gate)
    async with scene(store, receiver, slow, settings=replace(SETTINGS, inbound_timeout_s=20)) as played:
        stage = played.stage
        call = await stage.caller.switchboard.place(stage.plan())
        await receiver.requests(1)
        async with asyncio.timeout(WAIT_S):
            while call.record.ringing_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        ran_before = list(played.seen)
        gate.set()
        await call.wait_answered()
        await call.hangup()
        await stage.quiet()

    assert (ran_before, [name for name, _ in played.seen]) == ([], ["agent"])


async def test_another_agent_takes_the_call_and_sees_the_variables(store: Database, receiver: Receiver) -> None:
    answer = says(
        override_model_id="sales",
        custom_variables={"plan": "gold", "seats": 3, "X-Customer": "8"},
        metadata={"queue": [1, 2]},
    )
    async with scene(store, receiver, answer) as played:
        status = await played.call(("X-Customer", "7"))
        record = played.record

    variables = {"X-Customer": "8", "plan": "gold", "seats": "3"}
    assert (status, played.seen) == (200, [("sales", variables)])
    assert (record.agent, record.variables, record.extra) == ("sales", variables, {"metadata": {"queue": [1, 2]}})
    assert record.why[-1] == "the inbound-call webhook chose sales instead of agent"


async def test_a_full_agent_s_call_is_let_in_where_the_webhook_gives_it_to_another(
    store: Database, receiver: Receiver
) -> None:
    answers = says(override_model_id="sales"), says(override_model_id=""), says(override_model_id="sales")
    async with scene(store, receiver, *answers) as played:
        board = played.stage.callee.switchboard
        board.limits.apply(LimitSettings(agents={"agent": Limit(1), "sales": Limit(1)}))
        talking = board.limits.admit_inbound("local", NUMBER, "agent")
        given = await played.stage.call()
        counted = board.limits.live()
        statuses = []
        for _ in range(2):
            with pytest.raises(CallFailed) as refused:
                await played.stage.call()
            statuses.append(refused.value.status)
        await given.hangup()
        await played.stage.quiet()
        reasons = {record.why[-1] for record in played.stage.kept.records}
        talking.release()
        after = board.limits.live()

    assert (counted["agents.agent"], counted["agents.sales"]) == (1, 1)
    assert [name for name, _ in played.seen] == ["sales"]
    assert statuses == [486, 486]
    assert reasons >= {
        "the inbound-call webhook chose sales instead of agent",
        "agent agent has 1 call up, which is as many as it may (agents.agent.max_calls)",
        "agent sales has 1 call up, which is as many as it may (agents.sales.max_calls)",
    }
    assert after == {"calls": 0}


@pytest.mark.parametrize("body", [b"{}", b'{"call_inbound":{}}'])
async def test_an_empty_answer_declines_the_call(store: Database, receiver: Receiver, body: bytes) -> None:
    async with scene(store, receiver, Answer(body=body)) as played:
        status = await played.call()
        record, (delivery, _) = played.record, await played.log()

    assert (status, played.seen, len(receiver.got)) == (603, [], 1)
    assert record.ending is not None
    assert (record.ending.word, record.ending.why) == (Word.REJECTED, "the inbound-call webhook declined the call")
    assert delivery.status == SUCCESS


async def test_after_four_requests_without_an_answer_the_default_agent_takes_the_call(
    store: Database, receiver: Receiver
) -> None:
    answers = Answer(500), receiver.hanging(), Answer(reset=True), Answer(stall=True)
    async with scene(store, receiver, *answers, settings=replace(SETTINGS, default_agent="sales")) as played:
        began = time.monotonic()
        status = await played.call()
        took_s = time.monotonic() - began
        record, (delivery, attempts) = played.record, await played.log()

    assert (status, [name for name, _ in played.seen], record.agent) == (200, ["sales"], "sales")
    assert [got.headers["x-sipflow-attempt"] for got in receiver.got] == ["1", "2", "3", "4"]
    assert [each.error_message for each in attempts] == [
        "answered 500",
        "no answer within 0.3 s",
        "the connection was closed before an answer came",
        "the answer was not whole within 0.3 s",
    ]
    assert (delivery.status, delivery.attempts) == (FAILED, 4)
    assert record.why[-1] == (
        "the inbound-call webhook gave no usable answer (the answer was not whole within 0.3 s): "
        "sales takes the call (webhooks.default_agent)"
    )
    assert took_s < 8.0


async def test_without_a_default_agent_the_call_is_ended_and_it_is_our_fault(
    store: Database, receiver: Receiver
) -> None:
    async with scene(store, receiver, Answer(503), settings=replace(SETTINGS, inbound_retries=1)) as played:
        status = await played.call()
        record = played.record

    assert (status, played.seen, len(receiver.got)) == (480, [], 2)
    assert record.ending is not None
    assert (record.ending.word, record.ending.fault) == (Word.AGENT_FAILED, Fault.LOCAL)
    assert record.ending.why == "the inbound-call webhook gave no usable answer (answered 503)"
    assert record.why[-1].endswith("and there is no webhooks.default_agent to take the call: none is set")


async def test_an_answer_after_a_failure_counts(store: Database, receiver: Receiver) -> None:
    async with scene(store, receiver, Answer(502), says(override_model_id="sales")) as played:
        status = await played.call()

    assert (status, [name for name, _ in played.seen], len(receiver.got)) == (200, ["sales"], 2)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(404), "answered 404"),
        (Answer(301, headers={"Location": "http://10.0.0.1/"}), "answered 301: redirects are not followed"),
        (Answer(body=b"<html>"), "the answer is not JSON"),
        (Answer(status=204, body=b""), "the answer is empty"),
        (Answer(huge_bytes=1 << 30), "the answer is longer than 262144 bytes"),
        (says(override_model_id="nobody"), "call_inbound.override_model_id: there is no agent 'nobody'"),
        (says(override_model_id=7), "call_inbound.override_model_id: it is no text"),
    ],
    ids=["404", "redirect", "html", "204", "huge", "no such agent", "no text"],
)
async def test_an_answer_that_cannot_be_used_is_told_in_words_and_not_asked_for_again(
    store: Database, receiver: Receiver, answer: Answer, why: str
) -> None:
    async with scene(store, receiver, answer, settings=replace(SETTINGS, inbound_timeout_s=5)) as played:
        status = await played.call()
        delivery, (attempt,) = await played.log()

    assert (status, played.seen, len(receiver.got)) == (480, [], 1)
    assert (delivery.status, attempt.error_message[: len(why)]) == (FAILED, why)
    assert why in played.record.why[-1]


async def test_a_private_address_is_never_asked(store: Database, receiver: Receiver) -> None:
    async with scene(store, receiver, says(), settings=replace(SETTINGS, allow_networks=())) as played:
        status = await played.call()
        _, (attempt,) = await played.log()

    assert (status, receiver.got, played.seen) == (480, [], [])
    assert attempt.error_message.startswith("127.0.0.1 is loopback: webhooks may not reach it")


async def test_a_caller_who_gives_up_cancels_the_request(store: Database, receiver: Receiver) -> None:
    async with scene(store, receiver, receiver.hanging(), settings=replace(SETTINGS, inbound_timeout_s=30)) as played:
        stage = played.stage
        call = await stage.caller.switchboard.place(stage.plan())
        await receiver.requests(1)
        began = time.monotonic()
        await call.hangup()
        await stage.quiet()
        delivery, (attempt,) = await played.log()

    assert time.monotonic() - began < 10.0
    assert (played.seen, len(receiver.got)) == ([], 1)
    assert (delivery.status, attempt.status_code) == (FAILED, None)
    assert attempt.error_message.startswith("the call ended before there was an answer: ")
    assert played.record.ending is not None
    assert played.record.ending.word == Word.CANCELLED


async def test_calls_that_come_before_the_webhooks_run_wait_for_them(store: Database, receiver: Receiver) -> None:
    settings = replace(SETTINGS, inbound_timeout_s=10)
    async with scene(store, receiver, says(override_model_id="sales"), opened=False, settings=settings) as played:
        status = await played.call()

    assert (status, [name for name, _ in played.seen]) == (200, ["sales"])


async def test_a_store_that_does_not_open_leaves_the_call_to_the_default_agent(
    store: Database, receiver: Receiver
) -> None:
    settings = replace(SETTINGS, default_agent="sales", inbound_timeout_s=0.1)
    async with scene(store, receiver, Answer(), opened=False, settings=settings) as played:
        status = await played.call()

    assert (status, [name for name, _ in played.seen], receiver.got) == (200, ["sales"], [])
    assert "its store is not open yet" in played.record.why[-1]


async def test_an_agent_without_a_webhook_runs_at_once(store: Database, receiver: Receiver) -> None:
    async with scene(store, receiver, Answer(), opened=False) as played:
        board = played.stage.callee.switchboard
        steering = board.agents
        assert isinstance(steering, Steering)
        steering._hooks = lambda _agent: Hooks()
        status = await played.call()

    assert (status, [name for name, _ in played.seen], receiver.got) == (200, ["agent"], [])
    assert (steering.knows("sales"), steering.knows("nobody"), steering.ring_s("sales")) == (True, False, None)
