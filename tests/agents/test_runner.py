"""One coroutine per call: whatever it does ends its own call and no other."""

import asyncio

import pytest
from structlog.testing import capture_logs

from sipflow.agents.conduct import Conduct
from sipflow.agents.echo import echo
from sipflow.agents.runner import Runner
from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.errors import AgentError, CallEnded, CallFailed
from sipflow.tasks import Tasks
from tests.calls.stage import WAIT_S, Stage, staged


def impatient(stage: Stage, answer_timeout_s: float) -> None:
    """Let the agents of a stage have less time."""
    agents = stage.agent.runner._agents
    stage.agent.runner = Runner(stage.callee.tasks, answer_timeout_s=answer_timeout_s)
    stage.agent.runner._agents = agents


async def failure(stage: Stage, **changes: object) -> int:
    with pytest.raises(CallFailed) as failed:
        await stage.call(**changes)  # type: ignore[arg-type]
    return failed.value.status


async def test_agent_that_never_answers_loses_the_call_with_480() -> None:
    told: list[str] = []

    async def agent(call: InboundCall) -> None:
        try:
            await call.read_digit(timeout=60)
        except CallEnded as ended:
            told.append(ended.reason)
            raise

    async with staged(agent) as stage:
        impatient(stage, 0.1)
        status = await failure(stage)
        await stage.quiet()

    (record,) = stage.kept.records
    assert record.ending is not None
    assert (status, told) == (480, ["the agent never answered"])
    assert (record.ending.status, record.ending.word, record.ending.why) == (
        480,
        Word.NO_ANSWER,
        "the agent never answered",
    )


async def test_every_call_has_its_own_time_to_be_answered_in() -> None:
    async def agent(call: InboundCall) -> None:
        await call.read_digit(timeout=60)

    async with staged(agent) as stage:
        impatient(stage, 0.2)
        first = asyncio.create_task(failure(stage))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(failure(stage))
        statuses = (await first, await second)
        await stage.quiet()

    first_s, second_s = sorted(
        (end - record.started_at).total_seconds() for record in stage.kept.records if (end := record.ended_at)
    )
    assert statuses == (480, 480)
    assert first_s >= 0.19
    assert second_s < 5.0


async def test_agent_that_answered_in_time_keeps_the_call() -> None:
    async with staged() as stage:
        impatient(stage, 0.1)
        call = await stage.call()
        await asyncio.sleep(0.3)
        alive = call.ending is None
        await call.hangup()
        await stage.quiet()

    assert alive


class Panic(BaseException):
    """What a library in Rust raises where it panics."""


class UnspeakableError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("and has another one")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, Panic, UnspeakableError, asyncio.CancelledError])
async def test_agent_that_exits_the_program_or_panics_ends_only_its_call(error: type[BaseException]) -> None:
    async def agent(call: InboundCall) -> None:
        if call.variables.get("X-Exit"):
            raise error
        await call.answer()
        await call.ended()

    async with staged(agent) as stage:
        good = await stage.call()
        status = await failure(stage, headers=(("X-Exit", "1"),))
        alive = good.ending is None
        await good.hangup()
        await stage.quiet()

    ending = stage.kept.records[0].ending
    assert ending is not None
    assert (status, alive) == (500, True)
    assert (ending.word, ending.fault, ending.why) == (
        Word.AGENT_FAILED,
        Fault.LOCAL,
        f"the agent raised {error.__name__}",
    )


async def test_agent_that_cancels_itself_ends_its_call() -> None:
    async def agent(call: InboundCall) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await call.read_digit(timeout=60)

    async with staged(agent) as stage:
        assert await failure(stage) == 480


async def test_agent_that_went_at_a_reload_gives_503() -> None:
    async with staged() as stage:
        stage.agent.runner.apply([AgentSpec("other", "echo")])
        assert await failure(stage) == 503


async def test_agent_that_cannot_be_loaded_replaces_none() -> None:
    runner = Runner(Tasks())
    runner.apply([AgentSpec("desk", "echo")])
    before = dict(runner._agents)
    with pytest.raises(AgentError, match=r"^agent bad: "):
        runner.apply([AgentSpec("good", "echo"), AgentSpec("bad", "no_such_module_anywhere:x")])

    assert runner._agents == before == {"desk": (AgentSpec("desk", "echo"), echo)}


async def test_agent_made_at_run_time_that_cannot_be_loaded_gives_503_and_keeps_nobody_else_from_working(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with staged() as stage:
        runner = stage.agent.runner
        broken = AgentSpec("agent", "no_such_module:run")
        for _ in range(2):
            runner.apply([AgentSpec("echo", "echo")], [broken, AgentSpec("made", "echo")])
        known = [runner.knows(name) for name in ("echo", "made", "agent")]
        status = await failure(stage)
        await stage.quiet()
        runner.apply([], [])

    (record,) = stage.kept.records
    said = capsys.readouterr().out
    assert record.ending is not None
    assert (known, status, runner.knows("made")) == ([True, True, False], 503, False)
    assert record.ending.why.startswith("agent agent: cannot import no_such_module")
    assert said.count("an agent cannot be loaded, and gets no calls") == 1


async def test_options_of_the_configuration_reach_the_agent() -> None:
    seen: list[object] = []

    async def agent(call: InboundCall) -> None:
        seen.append(call.options)

    async with staged(agent) as stage:
        stage.agent.runner._agents = {"agent": (AgentSpec("agent", "x:y", {"greeting": "Hello"}), agent)}
        await failure(stage)

    assert seen == [{"greeting": "Hello"}]


async def test_calls_under_way_keep_their_agent_over_a_reload() -> None:
    async with staged() as stage:
        call = await stage.call()
        stage.agent.runner.apply([])
        await asyncio.sleep(0.1)
        alive = call.ending is None
        await call.hangup()
        await stage.quiet()

    assert alive


async def test_agent_may_hand_its_call_to_another_before_or_after_the_answer() -> None:
    seen: list[tuple[str, object]] = []

    async def first(call: InboundCall) -> HandOver:
        if call.variables.get("X-Answer"):
            await call.answer()
        return HandOver("second", "not my language")

    async def second(call: InboundCall) -> None:
        seen.append((call.record.agent, call.options))
        await call.ring()
        await call.answer()
        await call.ended()

    async with staged() as stage:
        stage.agent.runner._agents["agent"] = (AgentSpec("agent", "x:y"), first)
        stage.agent.runner._agents["second"] = (AgentSpec("second", "x:y", {"greeting": "Hello"}), second)
        for headers in ((), (("X-Answer", "1"),)):
            call = await stage.call(headers=headers)
            await asyncio.sleep(0.05)
            await call.hangup()
        await stage.quiet()

    assert seen == [("second", {"greeting": "Hello"})] * 2
    assert [record.agent for record in stage.kept.records] == ["second"] * 2


async def test_agent_that_hands_over_to_one_that_is_gone_gives_503() -> None:
    async def agent(call: InboundCall) -> HandOver:
        return HandOver("nobody")

    async with staged() as stage:
        stage.agent.runner._agents["agent"] = (AgentSpec("agent", "x:y"), agent)
        assert await failure(stage) == 503


def test_fallback_that_is_no_agent_or_ends_in_itself_replaces_none() -> None:
    runner = Runner(Tasks())
    bot = {"url": "ws://bot/ws", "dialect": "twilio"}
    runner.apply([AgentSpec("bot", "stream", {**bot, "fallback": "desk"}), AgentSpec("desk", "echo")])
    before = dict(runner._agents)
    for other, why in (
        ("nobody", "its fallback nobody is no agent"),
        ("b", "its fallback ends in itself: a -> b -> a"),
    ):
        specs = [
            AgentSpec("a", "stream", {**bot, "fallback": other}),
            AgentSpec("b", "stream", {**bot, "fallback": "a"}),
        ]
        with pytest.raises(AgentError) as error:
            runner.apply(specs)
        assert str(error.value) == f"agent a: {why}"

    assert runner._agents == before


def test_the_runner_knows_its_agents_and_how_long_their_calls_may_ring() -> None:
    runner = Runner(Tasks())
    runner.apply([AgentSpec("patient", "echo", conduct=Conduct(ring_timeout_s=45.0)), AgentSpec("plain", "echo")])

    assert [runner.knows(name) for name in ("patient", "plain", "gone")] == [True, True, False]
    assert [runner.ring_s(name) for name in ("patient", "plain", "gone")] == [45.0, None, None]


async def test_tasks_of_an_agent_that_hear_of_the_end_are_no_fault_of_its() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.read_digit(timeout=60))
            tasks.create_task(call.read_digit(timeout=60))

    async with staged(agent) as stage:
        with capture_logs() as said:
            phone = await stage.call()
            await phone.hangup()
            await stage.quiet()

    assert [line["event"] for line in said if line["event"] == "the agent raised"] == []


async def test_a_fault_beside_the_end_of_the_call_is_told() -> None:
    async def fails(call: InboundCall) -> None:
        try:
            await call.read_digit(timeout=60)
        except CallEnded:
            raise ValueError from None

    async def agent(call: InboundCall) -> None:
        await call.answer()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fails(call))
            tasks.create_task(call.read_digit(timeout=60))

    async with staged(agent) as stage:
        with capture_logs() as said:
            phone = await stage.call()
            await phone.hangup()
            await stage.quiet()
            async with asyncio.timeout(WAIT_S):
                while not any(line["event"] == "the agent raised" for line in said):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    (raised,) = [line["why"] for line in said if line["event"] == "the agent raised"]
    assert raised.startswith("ExceptionGroup: unhandled errors in a TaskGroup")
