"""Sends what waits in the store, until it is taken or too old: in order for each call, and fair to every endpoint.

A delivery is a row before it is a request, and stays one until the answer is noted: whenever the process dies, what was
not noted is sent again. So a receiver may get the same twice, with the same `X-Sipflow-Event-Id`, and nothing is lost.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from sipflow.errors import StoreError
from sipflow.store.deliveries import EVENT, FAILED, POST_CALL, SUCCESS, Deliveries, Delivery, DeliveryAttempt, Settled
from sipflow.tasks import Tasks
from sipflow.webhooks.exchange import Exchange, Header, Reply, shown_headers
from sipflow.webhooks.headers import ATTEMPT, CALL, EVENT_ID, basic_headers
from sipflow.webhooks.payloads import CALL_EVENT
from sipflow.webhooks.payloads import POST_CALL as POST_CALL_EVENT
from sipflow.webhooks.reading import retry_after_s, why_failed
from sipflow.webhooks.settings import Settings
from sipflow.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from sipflow.store.database import Database

log = structlog.get_logger("sipflow.webhooks")
BODY_KEPT_BYTES = 16_384  # of an answer, for the log
_GONE = 410
_JITTER = 0.2  # so that what failed together does not come back together
_SET_BACK_S = 30.0  # less is what clocks do by themselves
_TOGETHER_S = 0.01  # tries that end close together are noted together, and what is next goes out together
_CLOSE_S = 2.0  # for what is under way when we go down
_NAMES = {POST_CALL: POST_CALL_EVENT, EVENT: CALL_EVENT}


@dataclass(slots=True)
class _Lane:
    """One endpoint: how much goes to it at once."""

    under_way: int = 0
    failing: bool = False
    rests_until: datetime | None = None


class Outbox:
    """The deliveries that wait.

    Args:
        deliveries, database: where they are.
        exchange: sends them.
        settings: how often and how long.
        user_agent: what we call ourselves.
        poll_s: how often it is looked for what is due; `wake` has it looked at once.
        lease_s: how much longer than the time of a request another process leaves it to us.
        wall: UTC wall clock.
        clock: monotonic seconds.
        jitter: a number from 0 to 1.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        database: "Database",
        exchange: Exchange,
        settings: Settings,
        *,
        user_agent: str = "sipflow",
        poll_s: float = 1.0,
        lease_s: float = 5.0,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._deliveries = deliveries
        self._database = database
        self._exchange = exchange
        self._settings = settings
        self._user_agent = user_agent
        self._poll_s = poll_s
        self._lease = timedelta(seconds=settings.timeout_s + lease_s)
        self._wall = wall
        self._clock = clock
        self._ahead_s: float | None = None  # of the wall clock before the one that nobody sets, at the last look
        self._jitter = jitter
        self._tasks = Tasks()
        self._lanes: dict[str, _Lane] = {}
        self._settled: list[Settled] = []
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._closing = False
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to send."""
        self._tasks.spawn(self._run(), name="outbox of webhooks")

    def wake(self) -> None:
        """Look at once for what is due."""
        self._woken.set()

    async def close(self) -> None:
        """Let what is under way come to its end for a moment, note it, and stop; the rest waits in the store."""
        self._closing = True
        if self._sending:
            await asyncio.wait(list(self._sending.values()), timeout=_CLOSE_S)
        await self._tasks.close()
        try:
            await self._note()
        except StoreError as error:
            log.warning("what came of the last webhooks is not noted; they are sent again", why=str(error))

    # The loop

    async def _run(self) -> None:
        away = False
        while True:
            self._woken.clear()
            try:
                await self._turn()
                away = False
            except StoreError as error:
                if not away:
                    log.error("webhooks wait: the store cannot be used", why=str(error))
                away = True
            except Exception:  # whatever it was, nothing would ever be sent again
                log.exception("webhooks wait: looking for what is due has failed; it is tried again")
                away = True
            try:
                async with asyncio.timeout(self._poll_s):
                    if away:
                        await asyncio.sleep(self._poll_s)
                    await self._woken.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(_TOGETHER_S)

    async def _turn(self) -> None:
        """Note what came of tries, and send what is due as far as there is room."""
        now = self._wall()
        await self._mind_the_clock(now)
        ids: list[str] = []
        if not self._closing:
            for endpoint, room in self._shares(await self._deliveries.due(now), now).items():
                ids += await self._deliveries.candidates(endpoint, now=now, most=room)
        fresh = [each for each in ids if each not in self._sending]
        if not fresh and not self._settled:
            return
        if self._settled:  # what stands behind these, of the same call, could not be found before they are noted
            self.wake()
        for delivery in await self._note(fresh):
            lane = self._lanes.setdefault(delivery.endpoint, _Lane())
            lane.under_way += 1
            self._sending[delivery.id] = self._tasks.spawn(self._send(delivery, lane), name=f"webhook {delivery.id}")

    async def _mind_the_clock(self, now: datetime) -> None:
        """See whether somebody has set the clock back."""
        ahead_s = now.timestamp() - self._clock()
        if self._ahead_s is not None and ahead_s < self._ahead_s - _SET_BACK_S:
            log.warning(
                "the clock was set back: webhooks that wait are sent again now", seconds=self._ahead_s - ahead_s
            )
            await self._deliveries.hurry(now)
            for lane in self._lanes.values():
                lane.rests_until = None
        self._ahead_s = ahead_s

    async def _note(self, ids: Sequence[str] = ()) -> list[Delivery]:
        """Write what came of tries, and claim further ones, in one transaction."""
        settled, self._settled = self._settled, []
        now = self._wall()
        try:
            async with self._database.write() as connection:
                await self._deliveries.settle(connection, settled)
                return await self._deliveries.claim(connection, ids, now=now, until=now + self._lease)
        except BaseException:  # a cancellation too: what came of the tries must not be forgotten
            self._settled = settled + self._settled
            raise

    def _shares(self, endpoints: Sequence[str], now: datetime) -> dict[str, int]:
        """Say how many more may go to each endpoint: one each in turn, until there is no room."""
        free = self._settings.concurrency - len(self._sending)
        rooms = {endpoint: self._room(endpoint, now) for endpoint in endpoints}
        shares: Counter[str] = Counter()
        while free > 0 and any(rooms.values()):
            for endpoint in [each for each, room in rooms.items() if room > 0][:free]:
                rooms[endpoint] -= 1
                shares[endpoint] += 1
                free -= 1
        return dict(shares)

    def _room(self, endpoint: str, now: datetime) -> int:
        lane = self._lanes.get(endpoint)
        if lane is None:
            return self._settings.per_endpoint
        if lane.rests_until is not None and lane.rests_until > now:
            return 0
        return max(0, (1 if lane.failing else self._settings.per_endpoint) - lane.under_way)

    # One try

    async def _send(self, delivery: Delivery, lane: _Lane) -> None:
        at = self._wall()
        headers = self._headers(delivery, at)
        try:
            reply = await self._ask(delivery, headers)
            self._learn(lane, reply)
            settled = self._judge(delivery, reply)
            attempt = attempt_of(settled.attempts, at, headers, reply, why_failed(reply))
            self._settled.append(Settled(settled, attempt))
            self._say(settled, attempt)
        finally:
            lane.under_way -= 1
            del self._sending[delivery.id]
            if not lane.under_way and not lane.failing and lane.rests_until is None:
                self._lanes.pop(delivery.endpoint, None)
            self.wake()

    async def _ask(self, delivery: Delivery, headers: Sequence[Header]) -> Reply:
        try:
            return await self._exchange.post(
                delivery.url,
                delivery.payload,
                headers,
                timeout_s=self._settings.timeout_s,
                most_bytes=BODY_KEPT_BYTES,
            )
        except Exception as error:  # a try that nobody notes would be made again for ever, and never be given up
            log.exception("a webhook could not be sent", delivery=delivery.id)
            return Reply(error=f"{type(error).__name__}: {error}")

    def _headers(self, delivery: Delivery, at: datetime) -> list[Header]:
        return [
            *basic_headers(self._user_agent, _NAMES.get(delivery.webhook_type, delivery.webhook_type)),
            (EVENT_ID, delivery.id),
            (CALL, delivery.call_id),
            (ATTEMPT, str(delivery.attempts + 1)),
            *signed_headers(self._settings.secret, body=delivery.payload, call_id=delivery.call_id, at=at.timestamp()),
        ]

    def _learn(self, lane: _Lane, reply: Reply) -> None:
        """Send one at a time to an endpoint that fails, and none while it asks for a pause."""
        lane.failing = reply.status is None or reply.status >= 500 or reply.status == 429
        asked_s = retry_after_s(reply, self._wall()) if reply.status in (429, 503) else None
        rest_s = min(asked_s or 0.0, self._settings.retry_most_s)
        lane.rests_until = self._wall() + timedelta(seconds=rest_s) if rest_s else None

    def _judge(self, delivery: Delivery, reply: Reply) -> Delivery:
        """Say what becomes of a delivery."""
        now = self._wall()
        delivery = replace(delivery, attempts=delivery.attempts + 1)
        if not why_failed(reply):
            return replace(delivery, status=SUCCESS, next_at=None, finished_at=now)
        until = delivery.expires_at or now
        if reply.final or reply.status == _GONE or now >= until:
            return replace(delivery, status=FAILED, next_at=None, finished_at=now)
        pause_s = max(self._pause_s(delivery.attempts), retry_after_s(reply, now) or 0.0)
        return replace(delivery, next_at=min(now + timedelta(seconds=pause_s), until))

    def _pause_s(self, failures: int) -> float:
        settings = self._settings
        pause_s = min(settings.retry_first_s * 2.0 ** min(failures - 1, 30), settings.retry_most_s)
        return pause_s * (1 + _JITTER * (2 * self._jitter() - 1))

    def _say(self, delivery: Delivery, attempt: DeliveryAttempt) -> None:
        self.counts[delivery.status] += 1
        if delivery.status == SUCCESS:
            log.debug("webhook delivered", delivery=delivery.id, call=delivery.call_id, attempt=delivery.attempts)
            return
        say = log.error if delivery.status == FAILED else log.warning
        say(
            "webhook given up" if delivery.status == FAILED else "webhook not delivered, will be tried again",
            delivery=delivery.id,
            call=delivery.call_id,
            endpoint=delivery.endpoint,
            attempt=delivery.attempts,
            why=attempt.error_message,
            next_at=delivery.next_at.isoformat(timespec="seconds") if delivery.next_at else None,
        )


def attempt_of(number: int, at: datetime, headers: Sequence[Header], reply: Reply, why: str) -> DeliveryAttempt:
    """Make the row of a try."""
    return DeliveryAttempt(
        attempt_number=number,
        at=at,
        status_code=reply.status,
        duration_ms=reply.duration_ms,
        response_ttfb_ms=reply.ttfb_ms,
        request_headers=dict(shown_headers(headers)),
        response_headers=dict(reply.headers) if reply.status is not None else None,
        response_body=_text(reply.body) if reply.status is not None else None,
        response_bytes=reply.body_bytes if reply.status is not None else None,
        error_message=why,
    )


def _text(body: bytes) -> str:
    return body[:BODY_KEPT_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")  # PostgreSQL keeps no NUL
