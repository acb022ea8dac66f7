"""Drives many small request machines: one loop timer for all, and a bound on how many start at once.

Registrations and health checks are both such machines. Nothing here knows what they send or decide.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Generic, Protocol, TypeVar

import structlog

from sipflow.errors import SipflowError
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.tasks import Tasks
from sipflow.trunks.outputs import Output, Send, StateChanged
from sipflow.trunks.trunk import Trunk

_log = structlog.get_logger("sipflow.trunks")

# A request that nobody answers takes 32 s and more: it must not keep the place of one that would be answered.
_PLACE_S = 1.0
_STARTS_PER_S = 500.0  # 1,000 trunks are all asked within 2 s, and a registrar's socket buffer is not flooded
_HAND_OVER_S = 2.0  # a far end that does not answer must not keep a corrected trunk waiting
_LONGEST_REQUEST_S = 600.0  # every request ends long before; a lost outcome must not lose the trunk


class Requester(Protocol):
    """Whoever sends requests outside a dialog; the calls room implements it."""

    async def request(self, plan: RequestPlan) -> Outcome:
        """Send a request, fail over, answer challenges, and return how it ended."""


class Machine(Protocol):
    """A pure machine of one trunk that sends one request at a time."""

    trunk: Trunk

    @property
    def name(self) -> str: ...

    @property
    def deadline(self) -> float | None: ...

    @property
    def idle(self) -> bool: ...

    def start(self, *, now: float) -> list[Output]: ...

    def stop(self, *, now: float) -> list[Output]: ...

    def handle_timer(self, *, now: float) -> list[Output]: ...

    def outcome(self, outcome: Outcome, *, now: float) -> list[Output]: ...


M = TypeVar("M", bound=Machine)


class Fleet(Generic[M]):
    """Runs one machine per trunk: starts them spread in time, carries out what they return, wakes them when due.

    Attributes:
        machines: those that are wanted, by trunk name.
        outstanding: requests under way.
    """

    def __init__(
        self,
        requester: Requester,
        *,
        build: Callable[[Trunk], M],
        key: Callable[[Trunk], object],
        on_change: Callable[[M, StateChanged], None],
        on_outcome: Callable[[M, Outcome], None] | None = None,
        concurrency: int = 100,
    ) -> None:
        """Prepare; needs a running event loop.

        Args:
            requester: sends the requests.
            build: makes a trunk's machine.
            key: all of a trunk that its machine depends on; a trunk whose key stays keeps its machine.
            on_change: told of every change of state.
            on_outcome: told how each request ended, after its machine.
            concurrency: requests that may be in their first second at once.
        """
        self.machines: dict[str, M] = {}
        self.outstanding = 0
        self._requester = requester
        self._build = build
        self._key = key
        self._on_change = on_change
        self._on_outcome = on_outcome
        self._free = concurrency
        self._tasks = Tasks()
        self._waiting: deque[tuple[M, RequestPlan]] = deque()
        self._leaving: dict[M, M | None] = {}  # those that still have something to end, and who comes after them
        self._starting: set[M] = set()
        self._next_start = 0.0
        self._due: list[tuple[float, int, M]] = []
        self._order = count()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._quiet: asyncio.Event | None = None
        self._stopped = False
        self._loop = asyncio.get_running_loop()

    @property
    def now(self) -> float:
        """Monotonic seconds, the clock of the machines."""
        return self._loop.time()

    def apply(self, trunks: Iterable[Trunk]) -> None:
        """Run exactly these trunks: new ones are started, others stopped, changed ones stopped and started again."""
        wanted = {trunk.name: trunk for trunk in trunks}
        for name in [name for name in self.machines if name not in wanted]:
            self._remove(name, None)
        for name, trunk in wanted.items():
            machine = self.machines.get(name)
            if machine is None:
                self._add(self._build(trunk))
            elif self._key(machine.trunk) != self._key(trunk):
                self._remove(name, self._build(trunk))
            else:
                machine.trunk = trunk

    def perform(self, machine: M, outputs: list[Output]) -> None:
        """Carry out what an input of `machine` returned."""
        for output in outputs:
            if isinstance(output, Send):
                self._waiting.append((machine, output.plan))
            else:
                self._on_change(machine, output)
        deadline = machine.deadline
        if deadline is not None:
            self._wake_at(deadline, machine)
        self._launch()

    async def stop(self, timeout_s: float) -> None:
        """Stop every machine and wait for the requests this takes, `timeout_s` at most; then drop what is left.

        Cancelling leaves requests under way.
        """
        unsent, self._waiting = self._waiting, deque()
        for name in list(self.machines):
            self._remove(name, None)
        for machine, plan in unsent:
            self.perform(machine, machine.outcome(_not_sent(plan, 503, "not sent"), now=self.now))
        if timeout_s > 0 and (self.outstanding or self._waiting):
            self._quiet = asyncio.Event()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._quiet.wait()
            except TimeoutError:
                left = self.outstanding + len(self._waiting)
                _log.warning("requests of trunks are dropped unanswered", left=left, after_s=timeout_s)
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    # Coming and going

    def _add(self, machine: M) -> None:
        self.machines[machine.name] = machine
        for leaving in self._leaving:
            if leaving.name == machine.name:  # removed a moment ago: what it sends must not come after ours
                self._leaving[leaving] = machine
                self._loop.call_later(_HAND_OVER_S, self._hand_over, leaving)
                return
        self._admit(machine)

    def _admit(self, machine: M) -> None:
        """Start a machine when its turn comes."""
        now = self._loop.time()
        self._next_start = max(now, self._next_start + 1 / _STARTS_PER_S)
        self._starting.add(machine)
        self._wake_at(self._next_start, machine)

    def _remove(self, name: str, successor: M | None) -> None:
        machine = self.machines.pop(name)
        if successor is not None:
            self.machines[name] = successor
        for leaving, waiting in self._leaving.items():
            if waiting is machine:
                self._leaving[leaving] = successor
                return
        self._starting.discard(machine)
        self._leaving[machine] = successor
        self.perform(machine, machine.stop(now=self.now))
        self._settle(machine)
        if machine in self._leaving and successor is not None:
            self._loop.call_later(_HAND_OVER_S, self._hand_over, machine)

    def _settle(self, machine: M) -> None:
        """Let a machine go once it has nothing more to end."""
        if machine.idle:
            self._hand_over(machine)

    def _hand_over(self, machine: M) -> None:
        """Forget a machine that leaves, and start the one that comes after it."""
        successor = self._leaving.pop(machine, None)
        if successor is not None and self.machines.get(successor.name) is successor:
            self._admit(successor)

    # Time

    def _wake_at(self, at: float, machine: M) -> None:
        heapq.heappush(self._due, (at, next(self._order), machine))
        self._arm()

    def _arm(self) -> None:
        if not self._due:
            return
        at = self._due[0][0]
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        """Run what is due; an entry whose machine has meanwhile another deadline is skipped."""
        self._timer = None
        now = max(self._loop.time(), self._due[0][0])  # asyncio may fire one clock tick early
        while self._due and self._due[0][0] <= now:
            machine = heapq.heappop(self._due)[2]
            if machine in self._starting:
                self._starting.discard(machine)
                self.perform(machine, machine.start(now=now))
            elif machine.deadline is not None and machine.deadline <= now:
                self.perform(machine, machine.handle_timer(now=now))
        self._arm()

    # Requests

    def _launch(self) -> None:
        while self._waiting and self._free > 0 and not self._stopped:
            machine, plan = self._waiting.popleft()
            self._free -= 1
            self.outstanding += 1
            self._tasks.spawn(self._carry(machine, plan), name=f"{plan.method} of trunk {machine.name}")

    async def _carry(self, machine: M, plan: RequestPlan) -> None:
        held = [True]
        timer = self._loop.call_later(_PLACE_S, self._release, held)
        try:
            outcome = await self._ask(plan)
        finally:
            timer.cancel()
            self.outstanding -= 1
            self._release(held)
        if machine in self._leaving or self.machines.get(machine.name) is machine:
            self.perform(machine, machine.outcome(outcome, now=self.now))
            if self._on_outcome is not None:
                self._on_outcome(machine, outcome)
            self._settle(machine)
        if self._quiet is not None and not self.outstanding and not self._waiting:
            self._quiet.set()

    def _release(self, held: list[bool]) -> None:
        if held[0]:
            held[0] = False
            self._free += 1
            self._launch()

    async def _ask(self, plan: RequestPlan) -> Outcome:
        try:
            async with asyncio.timeout(_LONGEST_REQUEST_S):
                return await self._requester.request(plan)
        except TimeoutError:
            return _not_sent(plan, 408, "no outcome")
        except SipflowError as error:
            return _not_sent(plan, 503, str(error))
        except Exception as error:  # noqa: BLE001  (whatever it was, the trunk must be tried again)
            _log.error("a request of a trunk failed", method=plan.method, exc_info=error)
            return _not_sent(plan, 503, f"a bug of ours: {error!r}")


def _not_sent(plan: RequestPlan, status: int, reason: str) -> Outcome:
    return Outcome(status, reason, None, None, "", plan.cseq, 0, None)
