"""Runs one coroutine per call, and sees to it that whatever it does ends its own call and no other."""

import asyncio
from collections.abc import Awaitable, Iterable
from itertools import takewhile

import structlog

from sipflow.agents.conduct import Conducting
from sipflow.agents.handlers import Handler, check_references, load
from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.calls.call import Call
from sipflow.calls.ending import Word
from sipflow.calls.recorder import Recorder
from sipflow.errors import AgentError, CallEnded
from sipflow.tasks import Tasks

_log = structlog.get_logger("sipflow.agents")


class Runner:
    """The agents of the daemon by name.

    Args:
        tasks: owner of the agents' tasks.
        answer_timeout_s: how long an agent may leave a call unanswered; then the caller gets 480.
        recorder: makes the recordings that agents' conduct asks for; None makes none.
    """

    def __init__(self, tasks: Tasks, *, answer_timeout_s: float = 180.0, recorder: Recorder | None = None) -> None:
        self._tasks = tasks
        self._recorder = recorder
        self._patience = _Patience(answer_timeout_s)
        self._agents: dict[str, tuple[AgentSpec, Handler]] = {}
        self._broken: dict[str, str] = {}

    def apply(self, specs: Iterable[AgentSpec], created: Iterable[AgentSpec] = ()) -> None:
        """Replace all agents; calls under way keep the one they have.

        Args:
            specs: of the agents that the configuration declares.
            created: of those that were made at run time. One of these that cannot be loaded any more is said in the
                log and gets no calls; it keeps nobody else from working.

        Raises:
            AgentError: one of `specs` cannot be loaded; then nothing is replaced.
        """
        agents = {spec.name: (spec, self._loaded(spec)) for spec in specs}
        check_references({name: spec for name, (spec, _) in agents.items()})
        broken = {}
        for spec in created:
            try:
                agents[spec.name] = (spec, self._loaded(spec))
            except AgentError as error:
                broken[spec.name] = str(error)
                if self._broken.get(spec.name) != str(error):
                    _log.error("an agent cannot be loaded, and gets no calls", agent=spec.name, why=str(error))
        self._agents, self._broken = agents, broken

    def _loaded(self, spec: AgentSpec) -> Handler:
        """Load an agent's handler, unless it is the one that runs already."""
        known = self._agents.get(spec.name)
        return known[1] if known is not None and known[0] == spec else load(spec)

    def start(self, call: Call, agent: str) -> None:
        """Run the agent of this name for a call, in a task of its own."""
        found = self._agents.get(agent)
        if found is None:
            call.end(self._broken.get(agent) or f"agent {agent} is gone from the configuration", status=503)
            return
        spec, handler = found
        call.options = spec.options
        self._tasks.spawn(self._run(call, spec, handler), name=f"agent {agent} of call {call.id}")

    def knows(self, agent: str) -> bool:
        """Whether there is an agent of this name that can be started."""
        return agent in self._agents

    def ring_s(self, agent: str) -> float | None:
        """How long a call for this agent may go unanswered, in seconds; None where the agent does not say."""
        found = self._agents.get(agent)
        return (found[0].conduct.ring_timeout_s or None) if found is not None else None

    async def _run(self, call: Call, spec: AgentSpec, handler: Handler) -> None:
        self._patience.begin(call)
        try:
            after = await self._conducted(call, spec, handler)
            while isinstance(after, HandOver):
                after = await self._hand_over(call, after) if not after.then else await self._hand_down(call, after)
            await call.outlast_transfer()
        except CallEnded:
            pass  # the far end hung up while the agent waited: the quiet end
        except GeneratorExit:
            raise
        except BaseException as error:  # an agent may raise, exit, or panic in Rust; it ends its own call and no other
            if ended_alone(error):
                return
            if isinstance(error, asyncio.CancelledError) and (_told_to_end() or call.ending is not None):
                raise
            call.log.exception("the agent raised", agent=call.record.agent, why=_words(error))
            await call.outlast_transfer()  # a person who has the call needs no agent
            call.end_for(Word.AGENT_FAILED, f"the agent raised {type(error).__name__}", status=500)
        finally:
            self._patience.end(call)
            call.end("the agent is done", status=480)

    async def _hand_over(self, call: Call, to: HandOver) -> HandOver | None:
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
        return await self._conducted(call, spec, handler)

    async def _hand_down(self, call: Call, to: HandOver) -> HandOver | None:
        """Let another agent go on with the call, and the next where that one is gone, raises, or leaves it ringing."""
        following = HandOver(to.then[0], f"agent {to.agent} did not take the call", to.then[1:])
        if to.agent not in self._agents:
            return following
        try:
            after = await self._hand_over(call, to)
        except (CallEnded, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # as in `_run`; but here there is somebody who goes on
            if ended_alone(error):
                raise
            call.log.exception("the agent raised", agent=to.agent, then=following.agent, why=_words(error))
            return following if call.ending is None else None
        if isinstance(after, HandOver):
            return after if after.then else HandOver(after.agent, after.why, to.then)
        return following if call.ending is None and not call.answered else None

    def _conducted(self, call: Call, spec: AgentSpec, handler: Handler) -> Awaitable[HandOver | None]:
        """Run a handler under its agent's conduct; most have none, and cost nothing, not even a coroutine."""
        if not spec.conduct and (self._recorder is None or not self._recorder.settings.automatic):
            return handler(call)
        return self._under_conduct(call, spec, handler)

    async def _under_conduct(self, call: Call, spec: AgentSpec, handler: Handler) -> HandOver | None:
        conducting = Conducting(call, spec.conduct, recorder=self._recorder, tasks=self._tasks)
        try:
            await conducting.begin()
            return await handler(call)
        finally:
            conducting.close()


def ended_alone(error: BaseException) -> bool:
    """Whether tasks of an agent's TaskGroup heard that the call is over, and nothing else went wrong."""
    return isinstance(error, BaseExceptionGroup) and error.split(CallEnded)[1] is None


def _told_to_end() -> bool:
    """Whether somebody has cancelled this task; else an agent that is cancelled waited for a task that was."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _words(error: BaseException) -> str:
    """Say what an agent raised, whatever its error does when it is asked."""
    if isinstance(error, asyncio.CancelledError):
        return "CancelledError: what it waited for was cancelled"
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  (an exception of a user's own; that it was raised must be told all the same)
        return type(error).__name__


class _Patience:
    """Ends calls that stay unanswered for too long.

    All have the same time, so they run out in the order they came, and one timer does for all of them.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._until: dict[Call, float] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        self._until[call] = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._look, loop)

    def end(self, call: Call) -> None:
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
