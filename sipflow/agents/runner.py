"""Runs one coroutine per call, and sees to it that whatever it does ends its own call and no other."""

import asyncio
from collections.abc import Iterable
from itertools import takewhile

from sipflow.agents.handlers import Handler, check_references, load
from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded
from sipflow.tasks import Tasks


class Runner:
    """The agents of the daemon by name.

    Args:
        tasks: owner of the agents' tasks.
        answer_timeout_s: how long an agent may leave a call unanswered; then the caller gets 480.
    """

    def __init__(self, tasks: Tasks, *, answer_timeout_s: float = 180.0) -> None:
        self._tasks = tasks
        self._patience = _Patience(answer_timeout_s)
        self._agents: dict[str, tuple[AgentSpec, Handler]] = {}

    def apply(self, specs: Iterable[AgentSpec]) -> None:
        """Replace all agents; calls under way keep the one they have.

        Raises:
            AgentError: one cannot be loaded; then nothing is replaced.
        """
        agents = {spec.name: (spec, load(spec)) for spec in specs}
        check_references({name: spec for name, (spec, _) in agents.items()})
        self._agents = agents

    def start(self, call: InboundCall, agent: str) -> None:
        """Run the agent of this name for a call, in a task of its own."""
        found = self._agents.get(agent)
        if found is None:
            call.end(f"agent {agent} is gone from the configuration", status=503)
            return
        spec, handler = found
        call.options = spec.options
        self._tasks.spawn(self._run(call, handler), name=f"agent {agent} of call {call.id}")

    async def _run(self, call: InboundCall, handler: Handler) -> None:
        self._patience.begin(call)
        try:
            after = await handler(call)
            while isinstance(after, HandOver):
                after = await self._hand_over(call, after)
        except CallEnded:
            pass  # the far end hung up while the agent waited: the quiet end
        except (Exception, SystemExit) as error:  # an agent may raise, or exit; it ends its own call and no other
            call.log.exception("the agent raised", agent=call.record.agent)
            call.end_for(Word.AGENT_FAILED, f"the agent raised {type(error).__name__}", status=500)
        finally:
            self._patience.end(call)
            call.end("the agent is done", status=480)

    async def _hand_over(self, call: InboundCall, to: HandOver) -> HandOver | None:
        """Let another agent go on with the call."""
        found = self._agents.get(to.agent)
        if found is None:
            call.end(f"agent {to.agent} is gone from the configuration", status=503)
            return None
        call.log.info("another agent goes on", agent=to.agent, before=call.record.agent, why=to.why)
        spec, handler = found
        call.options = spec.options
        call.record.agent = to.agent
        call.handed_over = True
        return await handler(call)


class _Patience:
    """Ends calls that stay unanswered for too long.

    All have the same time, so they run out in the order they came, and one timer does for all of them.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._until: dict[InboundCall, float] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, call: InboundCall) -> None:
        loop = asyncio.get_running_loop()
        self._until[call] = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._look, loop)

    def end(self, call: InboundCall) -> None:
        self._until.pop(call, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        due = list(takewhile(lambda call: self._until[call] <= now, self._until))
        for call in due:
            del self._until[call]
            if not call.answered:
                call.end("the agent never answered", status=480)
        for until in self._until.values():
            self._timer = loop.call_later(until - now, self._look, loop)
            break
