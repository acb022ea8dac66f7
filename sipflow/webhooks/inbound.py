"""Asks, before an agent gets a call, what is to become of it: the inbound-call webhook."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.limits import inbound_status
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.record import CallRecord
from sipflow.calls.switchboard import Agents
from sipflow.errors import CallEnded, LimitReached, RemoteProtocolError
from sipflow.tasks import Tasks
from sipflow.webhooks.hooks import HooksOf
from sipflow.webhooks.payloads import Steer, call_inbound, read_call_inbound
from sipflow.webhooks.settings import Settings

if TYPE_CHECKING:
    from sipflow.webhooks.exchange import Reply

MOST_ANSWER_BYTES = 262_144
_PAUSE_S = 1.0  # before it is asked again, where it failed at once
_AGAIN = frozenset({408, 425, 429})  # and every 5xx: the others are the answer of somebody who is there
T = TypeVar("T")
HandOver = Callable[[CallRecord, str], None]


class Asker(Protocol):
    """Sends the requests of inbound-call webhooks; `webhooks.asking` does."""

    async def __call__(self, call: InboundCall, url: str, body: bytes, attempt: int) -> "Asked":
        """Send one, and wait for the answer at most `Settings.inbound_timeout_s`."""

    async def keep(self, inquiry: "Inquiry") -> None:
        """Keep what was asked and answered; must not raise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what came of it.

    Attributes:
        at: UTC wall clock of its beginning.
        headers: of the request.
        reply: what came.
        why: why there is no answer, "" where there is one, good or not.
    """

    at: datetime
    headers: tuple[tuple[str, str], ...]
    reply: "Reply"
    why: str


@dataclass(slots=True)
class Inquiry:
    """Everything that was asked about one call.

    Attributes:
        call_id, agent: which call, and who has it when nobody says otherwise.
        url, body: what was asked, and where.
        started_at: UTC wall clock.
        tries: every request.
        problem: why there is no usable answer; "" when there is one.
        cut_short: the call ended while it was asked.
    """

    call_id: str
    agent: str
    url: str
    body: bytes
    started_at: datetime
    tries: list[Asked] = field(default_factory=list)
    problem: str = ""
    cut_short: bool = False


class Steering:
    """Stands before the agents' runner and has its `start` wait for the webhook, while the caller hears it ring.

    Attributes:
        hand_over: told which agent takes a call; it raises LimitReached where that one has no room.

    Args:
        agents: who runs agents.
        settings: how long and how often it is asked.
        hooks: the URLs of an agent.
        pause_s: before it is asked again, where it failed at once.
    """

    def __init__(
        self,
        agents: Agents,
        settings: Settings,
        *,
        hooks: HooksOf,
        tasks: Tasks,
        pause_s: float = _PAUSE_S,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._agents = agents
        self._settings = settings
        self._hooks = hooks
        self._tasks = tasks
        self._pause_s = pause_s
        self._wall = wall
        self.hand_over: HandOver = _let_it_be
        self._ready = asyncio.Event()
        self._ask: Asker | None = None

    def open(self, ask: Asker) -> None:
        """Begin to ask; calls that came before have waited for it."""
        self._ask = ask
        self._ready.set()

    def knows(self, agent: str) -> bool:
        """Whether there is an agent of this name."""
        return self._agents.knows(agent)

    def ring_s(self, agent: str) -> float | None:
        """How long a call for this agent may go unanswered, in seconds; None where the agent does not say."""
        return self._agents.ring_s(agent)

    def steers(self, agent: str) -> bool:
        """Whether a webhook says who takes the calls of an agent."""
        return bool(self._hooks(agent).inbound_call_webhook_url)

    def start(self, call: InboundCall | OutboundCall, agent: str) -> None:
        """Run an agent for a call: at once, or once its webhook has answered."""
        if not isinstance(call, InboundCall):
            self._agents.start(call, agent)
            return
        url = self._hooks(agent).inbound_call_webhook_url
        if not url:
            self._agents.start(call, agent)
            return
        self._tasks.spawn(self._steer(call, agent, url), name=f"inbound-call webhook of call {call.id}")

    async def _steer(self, call: InboundCall, agent: str, url: str) -> None:
        body = call_inbound(call.record, variables=call.variables)
        inquiry = Inquiry(call.id, agent, url, body, self._wall())
        try:
            await call.ring()
            steer = await self._while_it_lives(call, self._inquire(call, inquiry))
        except CallEnded as error:
            inquiry.problem = f"the call ended before there was an answer: {error.reason}"
            inquiry.cut_short = True
        else:
            self._follow(call, agent, steer, inquiry)
        finally:
            if self._ask is not None:
                await self._ask.keep(inquiry)

    # Asking

    async def _inquire(self, call: InboundCall, inquiry: Inquiry) -> Steer | None:
        """Ask until there is an answer; None when there is none that can be used."""
        ask = await self._asker()
        if ask is None:
            inquiry.problem = "sipflow has just started, and its store is not open yet"
            return None
        for attempt in range(1, self._settings.inbound_retries + 2):
            if attempt > 1 and inquiry.tries[-1].reply.duration_ms < self._pause_s * 1000:
                await asyncio.sleep(self._pause_s)
            asked = await ask(call, inquiry.url, inquiry.body, attempt)
            inquiry.tries.append(asked)
            if not _may_answer_later(asked.reply):
                break
            call.log.warning("the inbound-call webhook did not answer", attempt=attempt, why=asked.why)
        return self._read(inquiry)

    async def _asker(self) -> Asker | None:
        """Wait for what asks, for as long as an answer may take; None when it does not come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.inbound_timeout_s):
                await self._ready.wait()
        return self._ask

    def _read(self, inquiry: Inquiry) -> Steer | None:
        last = inquiry.tries[-1]
        inquiry.problem = last.why or _incomplete(last.reply)
        if inquiry.problem:
            return None
        try:
            steer = read_call_inbound(last.reply.body)
        except RemoteProtocolError as error:
            inquiry.problem = str(error)
            return None
        if steer.agent and not self._agents.knows(steer.agent):
            inquiry.problem = f"call_inbound.override_model_id: there is no agent {steer.agent[:80]!r}"
            return None
        return steer

    async def _while_it_lives(self, call: InboundCall, work: Coroutine[Any, Any, T]) -> T:
        """Wait for some work, and give it up when the call ends.

        Raises:
            CallEnded: it has.
        """
        working = self._tasks.spawn(work, name=f"question about call {call.id}")
        ending = self._tasks.spawn(call.ended(), name=f"end of call {call.id}")
        try:
            await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
            if call.ending is not None:
                raise CallEnded(call.ending.why, by=call.ending.by)
            return working.result()
        finally:
            working.cancel()
            ending.cancel()

    # Doing as told

    def _follow(self, call: InboundCall, agent: str, steer: Steer | None, inquiry: Inquiry) -> None:
        """Hand the call to whom the webhook chose, or end it."""
        record = call.record
        if steer is None:
            self._without_answer(call, inquiry)
            return
        if steer.metadata:
            record.extra = {**(record.extra or {}), "metadata": dict(steer.metadata)}
        if steer.declined:
            self._note(call, "the inbound-call webhook declined the call")
            call.end("the inbound-call webhook declined the call", status=603)
            return
        if steer.variables:
            call.give(steer.variables)
        if steer.agent and steer.agent != agent:
            self._note(call, f"the inbound-call webhook chose {steer.agent} instead of {agent}")
        else:
            self._note(call, f"the inbound-call webhook left the call to {agent}")
        self._start(call, steer.agent or agent)

    def _without_answer(self, call: InboundCall, inquiry: Inquiry) -> None:
        default = self._settings.default_agent
        why = f"the inbound-call webhook gave no usable answer ({inquiry.problem})"
        if default and self._agents.knows(default):
            self._note(call, f"{why}: {default} takes the call (webhooks.default_agent)")
            self._start(call, default)
            return
        missing = f"there is no agent {default}" if default else "none is set"
        self._note(call, f"{why} and there is no webhooks.default_agent to take the call: {missing}")
        call.end_for(Word.AGENT_FAILED, why, status=480)

    def _start(self, call: InboundCall, agent: str) -> None:
        try:
            self.hand_over(call.record, agent)
        except LimitReached as error:
            self._note(call, str(error))
            call.end_for(Word.OVERLOADED, str(error), status=inbound_status(error))
            return
        self._agents.start(call, agent)

    def _note(self, call: InboundCall, why: str) -> None:
        call.record.why = (*call.record.why, why)
        call.note("inbound_webhook", why=why)
        call.log.info("inbound-call webhook", said=why)


def _let_it_be(record: CallRecord, agent: str) -> None:
    record.agent = agent


def _may_answer_later(reply: "Reply") -> bool:
    """Whether asking again may help: nobody was there, or somebody in trouble."""
    if reply.status is None or (reply.error and reply.status < 300):
        return not reply.final
    return reply.status >= 500 or reply.status in _AGAIN


def _incomplete(reply: "Reply") -> str:
    if reply.error:
        return reply.error
    return f"the answer is longer than {MOST_ANSWER_BYTES} bytes" if reply.cut else ""
