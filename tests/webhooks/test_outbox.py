import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sipflow.net.acl import Networks
from sipflow.store.database import Database
from sipflow.store.deliveries import EVENT, FAILED, PENDING, POST_CALL, SUCCESS, Deliveries, Delivery, DeliveryAttempt
from sipflow.webhooks.addresses import Guard, endpoint_of
from sipflow.webhooks.exchange import Exchange, Reply
from sipflow.webhooks.outbox import Outbox
from sipflow.webhooks.settings import Settings
from sipflow.webhooks.signing import verify, verify_compatible
from tests.webhooks.receiver import WAIT_S, Answer, Receiver

SECRET = "a secret of many characters"
QUICK = Settings(
    secret=(SECRET,),
    allow_networks=("127.0.0.1/32",),
    allow_http=True,
    timeout_s=0.5,
    retry_first_s=0.05,
    retry_most_s=0.2,
    give_up_s=600,
)


async def nowhere(host: str, port: int) -> list[str]:
    return ["10.0.0.5"]


@asynccontextmanager
async def running(database: Database, settings: Settings = QUICK, **changes: Any) -> AsyncIterator[Outbox]:
    """An outbox that sends."""
    guard = Guard(allowed=settings.allowed, allow_http=settings.allow_http, resolve=nowhere)
    exchange = Exchange(guard)
    named: dict[str, Any] = {"user_agent": "sipflow/test", "poll_s": 0.02} | changes
    outbox = Outbox(Deliveries(database), database, exchange, settings, **named)
    outbox.start()
    try:
        yield outbox
    finally:
        await outbox.close()
        await exchange.close()


def delivery(name: str, url: str, **changes: Any) -> Delivery:
    now = datetime.now(UTC)
    made = Delivery(
        id=name,
        webhook_type=POST_CALL,
        url=url,
        endpoint=str(endpoint_of(url)),
        agent="desk",
        call_id=f"call-{name}",
        payload=json.dumps({"name": name}).encode(),
        created_at=now,
        next_at=now,
        expires_at=now + timedelta(seconds=600),
    )
    return replace(made, **changes)


async def put(database: Database, *made: Delivery) -> None:
    async with database.write() as connection:
        await Deliveries(database).add(connection, made)


async def finished(
    database: Database, name: str, when: Callable[[Delivery], bool] = lambda each: each.status != PENDING
) -> tuple[Delivery, list[DeliveryAttempt]]:
    """Wait until a delivery is finished."""
    async with asyncio.timeout(WAIT_S):
        while not when((found := await Deliveries(database).find(name))[0]):  # noqa: ASYNC110  (a store tells nobody)
            await asyncio.sleep(0.01)
    return found


async def test_a_delivery_is_sent_signed_and_noted(store: Database, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(202, b"thanks", {"X-Served-By": "a"}))
    async with running(store):
        await put(store, delivery("one", url))
        done, attempts = await finished(store, "one")

    (got,) = receiver.got
    assert {name: got.headers[name] for name in sorted(got.headers) if name != "host"} == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": str(len(got.body)),
        "content-type": "application/json",
        "http_synthflow_signature": got.headers["http_synthflow_signature"],
        "user-agent": "sipflow/test",
        "x-sipflow-attempt": "1",
        "x-sipflow-call": "call-one",
        "x-sipflow-event": "post_call",
        "x-sipflow-event-id": "one",
        "x-sipflow-signature": got.headers["x-sipflow-signature"],
        "x-sipflow-timestamp": got.headers["x-sipflow-timestamp"],
    }
    assert verify(SECRET, got.headers, got.body)
    assert verify_compatible(SECRET, got.headers, "call-one")
    assert (done.status, done.attempts, done.next_at) == (SUCCESS, 1, None)
    assert done.finished_at is not None
    (attempt,) = attempts
    assert (attempt.attempt_number, attempt.status_code, attempt.error_message) == (1, 202, "")
    assert (attempt.response_body, attempt.response_bytes) == ("thanks", 6)
    assert attempt.response_headers is not None
    assert attempt.response_headers["X-Served-By"] == "a"
    assert attempt.request_headers["X-Sipflow-Event-Id"] == "one"
    assert {attempt.request_headers[name] for name in ("X-Sipflow-Signature", "HTTP_SYNTHFLOW_SIGNATURE")} == {"***"}


async def test_what_fails_is_sent_again_until_it_is_taken(store: Database, receiver: Receiver) -> None:
    first = Answer(500, headers={"Connection": "close"})
    url = receiver.script("/hook", first, Answer(reset=True), receiver.hanging(), Answer(404), Answer(200))
    async with running(store):
        await put(store, delivery("one", url))
        done, attempts = await finished(store, "one")

    assert (done.status, done.attempts) == (SUCCESS, 5)
    assert [(each.attempt_number, each.status_code, each.error_message) for each in attempts] == [
        (1, 500, "answered 500"),
        (2, None, "the connection was closed before an answer came"),
        (3, None, "no answer within 0.5 s"),
        (4, 404, "answered 404"),
        (5, 200, ""),
    ]
    assert [got.headers["x-sipflow-attempt"] for got in receiver.got[-2:]] == ["4", "5"]
    assert {got.headers["x-sipflow-event-id"] for got in receiver.got} == {"one"}
    assert all(verify(SECRET, got.headers, got.body) for got in receiver.got)


async def test_a_clock_that_is_set_back_delays_nothing(
    store: Database, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    url = receiver.script("/hook", Answer(500), Answer(200))
    set_back = [timedelta(0)]
    patient = replace(QUICK, retry_first_s=500, retry_most_s=500)
    async with running(store, patient, wall=lambda: datetime.now(UTC) - set_back[0]):
        await put(store, delivery("one", url))
        await finished(store, "one", lambda each: each.attempts == 1)
        set_back[0] = timedelta(hours=1)
        done, _ = await finished(store, "one")

    assert (done.status, done.attempts) == (SUCCESS, 2)
    assert "the clock was set back" in capsys.readouterr().out


async def test_pauses_double_up_to_the_longest_and_are_never_quite_the_same(store: Database) -> None:
    settings = replace(QUICK, retry_first_s=5, retry_most_s=60)
    early, late = [
        Outbox(Deliveries(store), store, Exchange(Guard(allowed=Networks(), allow_http=True, resolve=nowhere)),
               settings, jitter=jitter)
        for jitter in (lambda: 0.0, lambda: 1.0)
    ]  # fmt: skip

    assert [early._pause_s(n) for n in (1, 2, 3, 4, 5, 99)] == [4, 8, 16, 32, 48, 48]
    assert [late._pause_s(n) for n in (1, 2, 3, 4, 5, 99)] == [6, 12, 24, 48, 72, 72]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(410), "answered 410"),
        (Answer(302, headers={"Location": "http://169.254.169.254/"}), "answered 302: redirects are not followed; set"),
    ],
    ids=["gone", "redirect"],
)
async def test_what_will_never_be_taken_is_given_up(
    store: Database, receiver: Receiver, answer: Answer, why: str
) -> None:
    settings = replace(QUICK, retry_first_s=60, retry_most_s=60)
    async with running(store, settings):
        url = receiver.script("/hook", answer)
        soon = datetime.now(UTC) + timedelta(seconds=1.0)  # what is tried again is tried a last time when it is over
        await put(store, delivery("one", url, expires_at=soon))
        done, attempts = await finished(store, "one")

    assert (done.status, done.next_at) == (FAILED, None)
    assert len(attempts) == (1 if answer.status == 410 else 2)
    assert attempts[-1].error_message.startswith(why)
    assert len(receiver.got) == len(attempts)


async def test_a_private_address_is_given_up_at_once_and_nothing_is_sent(store: Database, receiver: Receiver) -> None:
    async with running(store, replace(QUICK, allow_networks=())):
        await put(store, delivery("literal", receiver.url()), delivery("name", "http://rebound.example.com/"))
        literal, (first,) = await finished(store, "literal")
        name, (second,) = await finished(store, "name")

    assert (literal.status, name.status, receiver.got) == (FAILED, FAILED, [])
    assert first.error_message.startswith("127.0.0.1 is loopback: webhooks may not reach it")
    assert second.error_message.startswith("rebound.example.com is 10.0.0.5, which is private")


async def test_a_pause_that_the_endpoint_asks_for_is_kept(store: Database, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(503, headers={"Retry-After": "300"}))
    async with running(store, replace(QUICK, retry_most_s=600)):
        await put(store, delivery("one", url), delivery("two", url, next_at=datetime.now(UTC) + timedelta(seconds=0.3)))
        done, _ = await finished(store, "one", lambda each: each.attempts == 1)
        await asyncio.sleep(0.4)
        two, _ = await Deliveries(store).find("two")

    assert done.next_at is not None
    assert 290 < (done.next_at - datetime.now(UTC)).total_seconds() < 301
    assert (two.attempts, len(receiver.got)) == (0, 1)  # the endpoint rests, and so does what else is for it


async def test_a_huge_answer_is_a_success_of_which_the_beginning_is_kept(store: Database, receiver: Receiver) -> None:
    async with running(store):
        await put(store, delivery("one", receiver.script("/hook", Answer(huge_bytes=1 << 30))))
        done, (attempt,) = await finished(store, "one")

    assert (done.status, attempt.response_bytes, attempt.response_body) == (SUCCESS, 16_384, "x" * 16_384)


async def test_one_endpoint_that_hangs_does_not_hold_up_another(store: Database, receiver: Receiver) -> None:
    async with Receiver() as dead, running(store, replace(QUICK, timeout_s=30, concurrency=8)):
        hanging = dead.script("/hook", dead.hanging())
        await put(store, *(delivery(f"dead-{n:03}", hanging) for n in range(200)))
        await dead.requests(4)
        await put(store, *(delivery(f"good-{n:02}", receiver.url()) for n in range(40)))
        await receiver.requests(40)

        assert len(dead.got) == 4  # per_endpoint, and no more
        assert receiver.at_once <= 4


async def test_an_endpoint_that_fails_is_tried_by_one_delivery_at_a_time(store: Database, receiver: Receiver) -> None:
    url = receiver.script("/hook", *[Answer(500)] * 4, Answer(500))
    async with running(store):
        await put(store, *(delivery(f"d-{n}", url) for n in range(12)))
        await receiver.requests(6)
        receiver.at_once = 0
        await receiver.requests(20)

    assert receiver.at_once == 1


async def test_deliveries_of_a_call_keep_their_order_even_when_the_first_fails(
    store: Database, receiver: Receiver
) -> None:
    url = receiver.script("/hook", Answer(500), Answer(500), Answer())
    names = [f"e{n}" for n in range(6)]
    async with running(store):
        made = [delivery(name, url, call_id="c1", webhook_type=EVENT, position=n) for n, name in enumerate(names)]
        await put(store, *reversed(made))
        await finished(store, names[-1])

    assert [got.headers["x-sipflow-event-id"] for got in receiver.got] == ["e0", "e0", *names]


async def test_two_processes_on_one_store_send_each_delivery_once(store: Database, receiver: Receiver) -> None:
    async with running(store), running(store):
        await put(store, *(delivery(f"d-{n:02}", receiver.url()) for n in range(40)))
        await receiver.requests(40)
        for n in range(40):
            await finished(store, f"d-{n:02}")

    assert len({got.headers["x-sipflow-event-id"] for got in receiver.got}) == len(receiver.got) == 40


async def test_going_down_waits_for_what_is_under_way_and_notes_it(store: Database, receiver: Receiver) -> None:
    gate = asyncio.Event()
    url = receiver.script("/hook", Answer(until=gate))
    async with running(store, replace(QUICK, timeout_s=10)):
        await put(store, delivery("one", url), delivery("two", url, next_at=datetime.now(UTC) + timedelta(seconds=60)))
        await receiver.requests(1)
        asyncio.get_running_loop().call_later(0.1, gate.set)

    assert [(await Deliveries(store).find(name))[0].status for name in ("one", "two")] == [SUCCESS, PENDING]


async def test_a_killed_process_loses_nothing_and_its_successor_goes_on(
    store: Database, receiver: Receiver, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    urls = {
        "done": receiver.script("/done", Answer()),
        "hit": receiver.script("/hit", Answer(until=gate), Answer()),
        "retried": receiver.script("/retried", Answer(500), Answer(500), Answer()),
    }
    await put(store, *(delivery(name, url) for name, url in urls.items()))
    program = Path(__file__).with_name("sender.py")
    child = await asyncio.create_subprocess_exec(sys.executable, str(program), str(store.place.file))
    try:
        await finished(store, "done")
        await finished(store, "retried", lambda each: each.attempts >= 1)
        await receiver.requests(1, "/hit")
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    before = (await Deliveries(store).find("hit"))[0]
    gate.set()
    async with running(store):
        results = {name: (await finished(store, name))[0] for name in urls}

    assert (before.status, before.attempts) == (PENDING, 0)
    assert {name: each.status for name, each in results.items()} == dict.fromkeys(urls, SUCCESS)
    sent = [got.headers["x-sipflow-event-id"] for got in receiver.got]
    assert (sent.count("done"), sent.count("hit")) == (1, 2)  # the second with the same id, for whoever looks


async def test_what_a_call_has_to_tell_next_does_not_wait_until_somebody_looks_again(
    store: Database, receiver: Receiver
) -> None:
    url = receiver.url()
    events = [delivery(f"e{number}", url, call_id="c1", position=number) for number in range(5)]
    await put(store, *events)
    async with running(store, poll_s=3 * WAIT_S):
        done, _ = await finished(store, "e4")

    assert done.status == SUCCESS
    assert [got.headers["x-sipflow-event-id"] for got in receiver.got] == ["e0", "e1", "e2", "e3", "e4"]


class Surprising(Exchange):
    """Raises, the first time, what nobody has thought of."""

    asked = 0

    async def post(self, *args: Any, **kwargs: Any) -> Reply:
        self.asked += 1
        if self.asked == 1:
            raise ZeroDivisionError("a surprise")
        return await super().post(*args, **kwargs)


async def test_a_try_that_goes_wrong_in_an_unknown_way_is_noted_and_made_again(
    store: Database, receiver: Receiver
) -> None:
    async with running(store) as outbox:
        outbox._exchange = exchange = Surprising(outbox._exchange._guard)
        await put(store, delivery("one", receiver.script("/hook", Answer())))
        done, attempts = await finished(store, "one")
        await exchange.close()

    assert (done.status, done.attempts) == (SUCCESS, 2)
    assert [each.error_message for each in attempts] == ["ZeroDivisionError: a surprise", ""]


async def test_nothing_stops_for_a_delivery_that_was_deleted_while_it_was_sent(
    store: Database, receiver: Receiver
) -> None:
    deleted = asyncio.Event()
    url = receiver.script("/hook", Answer(until=deleted))
    async with running(store):
        await put(store, delivery("gone", url))
        await receiver.requests(1)
        async with store.write() as connection:
            await connection.execute(text("DELETE FROM deliveries WHERE id = 'gone'"))
        deleted.set()
        await put(store, delivery("later", url))
        later, _ = await finished(store, "later")

    assert later.status == SUCCESS


async def test_a_turn_that_goes_wrong_in_an_unknown_way_is_not_the_last_one(
    store: Database, receiver: Receiver
) -> None:
    async with running(store) as outbox:
        lanes, outbox._lanes = outbox._lanes, None  # type: ignore[assignment]
        await put(store, delivery("one", receiver.url()))
        await asyncio.sleep(0.1)
        outbox._lanes = lanes
        done, _ = await finished(store, "one")

    assert done.status == SUCCESS
