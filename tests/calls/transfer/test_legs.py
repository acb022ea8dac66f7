"""Calls to targets: by which number and trunk, and whom they show."""

from dataclasses import dataclass, field, replace

from sipflow.calls.call import Call
from sipflow.calls.order import Choice, Place
from sipflow.calls.record import CallRecord
from sipflow.errors import Conflict, LimitReached
from sipflow.trunks.crossing import HeaderSettings
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import refuses, story
from tests.calls.stage import NUMBER
from tests.calls.transfer.scene import (
    AGENT_HZ,
    CALLER_HZ,
    ELSEWHERE,
    Ear,
    Scene,
    is_back_with_the_agent,
    scene,
    talk,
    talks,
    tried,
)

TARGET, OURS = "+12065550177", "+12065550111"


@dataclass
class Numbers:
    """Gives one number, or none, and remembers."""

    trunk: str = "out"
    refusal: Exception | None = None
    given: list[tuple[str, str]] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    undone: int = 0

    def choose(self, agent: str, callee: str, from_number: str = "", *, token: str = "") -> Choice:
        if self.refusal is not None:
            raise self.refusal
        self.given.append((agent, callee))
        return Choice(OURS, self.trunk, ("it is the only one",))

    def join(
        self, agent: str, callee: str, from_number: str = "", *, at_most_s: float, token: str = ""
    ) -> Place | Choice:
        raise NotImplementedError

    def free(self, choice: Choice, record: CallRecord) -> None:
        self.freed.append(record.ending.word.value if record.ending is not None else "")

    def undo(self, choice: Choice) -> None:
        self.undone += 1


def out(ports: dict[str, int]) -> tuple[Trunk, ...]:
    """A trunk to each person, that of the first one followed by the others."""
    names = list(ports)
    return tuple(
        Trunk(
            "out" if name == names[0] else name,
            sip_domain=f"localhost:{port}",
            accept_from=ELSEWHERE,
            region="US",
            outbound=OutboundSettings(failover=tuple(names[1:]) if name == names[0] else ()),
        )
        for name, port in ports.items()
    )


async def transferred(numbers: Numbers | None, target: str = TARGET, **how: object) -> tuple[Scene, Call]:
    """Transfer a call to somebody who talks, hang up, and give what was on stage."""

    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.numbers = numbers
        await call.answer()
        stage.outcomes.append(await call.transfer(target, **how))  # type: ignore[arg-type]

    async with scene(agent, trunks=out, bob=talks()) as stage:
        call = await stage.call(headers=(("X-Shown", "+12065550144"),))
        bob = await stage.person("bob")
        ear = Ear(bob)
        await ear.comes_to_hear(CALLER_HZ)
        await call.hangup()
        await stage.outcome()
        await stage.quiet()
    return stage, bob


async def test_a_telephone_number_is_called_from_a_number_of_the_agents_which_is_given_back() -> None:
    numbers = Numbers()
    stage, bob = await transferred(numbers)
    leg = next(each for each in stage.kept.records if each.direction == "outbound")

    assert numbers.given == [("agent", TARGET)]
    assert (numbers.freed, numbers.undone) == (["hung_up"], 0)
    assert (bob.caller, bob.callee) == (OURS, TARGET)
    assert (leg.number, leg.trunk, leg.why[1:]) == (OURS, "out", ("it is the only one",))
    assert "transfer_of" in story(leg)


async def test_whom_the_target_sees_is_for_the_agent_to_say() -> None:
    seen = [(await transferred(Numbers(), caller_id=who))[1].caller for who in ("original", "agent", "header:X-Shown")]
    assert seen == ["+12065550199", OURS, "+12065550144"]


async def test_an_agent_without_numbers_calls_by_the_trunk_that_is_named() -> None:
    numbers = Numbers(refusal=Conflict("agent agent has no number"))
    stage, bob = await transferred(numbers, trunk="out")
    assert (bob.callee, numbers.freed) == (TARGET, [])
    assert stage.outcomes[0].ok


async def test_a_trunk_that_cannot_is_followed_by_its_fail_over() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.numbers = Numbers()
        stage.near.switchboard.transfers.enter = lambda _choice, name: entered.append(name)
        await call.answer()
        stage.outcomes.append(await call.transfer(TARGET))

    entered: list[str] = []
    async with scene(agent, trunks=out, anna=refuses(503), bob=talks()) as stage:
        call = await stage.call()
        await stage.person("bob")
        await call.hangup()
        await stage.quiet()

    assert entered == ["bob"]


async def test_a_limit_and_a_trunk_that_is_not_there_are_failed_attempts_and_no_errors() -> None:
    full = LimitReached("3 calls are up (trunks.out.max_calls)", limit="trunks.out.max_calls")

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.near.switchboard.transfers.numbers = Numbers(refusal=full)
        stage.outcomes.append(await call.transfer(TARGET))
        stage.near.switchboard.transfers.numbers = Numbers(trunk="gone")
        stage.outcomes.append(await call.transfer(TARGET))
        stage.near.switchboard.transfers.numbers = None
        stage.outcomes.append(await call.transfer("200"))

    async with scene(agent, bob=talks()) as stage:
        call = await stage.call()
        await call.ended()
        await stage.quiet()

    assert [tried(each) for each in stage.outcomes] == [[("INVITE", 0, "carrier_unavailable", "sipflow")]] * 3
    assert [each.why for each in stage.outcomes][:2] == [str(full), "there is no trunk 'gone'"]


async def test_an_address_of_the_trunks_own_is_called_with_its_account_and_any_other_without() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        for name in ("anna", "bob"):
            stage.outcomes.append(await call.transfer(stage.uri(name)))

    async with scene(agent, domain="anna", anna=refuses(486), bob=refuses(486)) as stage:
        call = await stage.call()
        await call.ended()
        await stage.quiet()
        trunks = [each.trunk for each in stage.kept.records if each.direction == "outbound"]

    assert trunks == ["line", ""]


# On whose behalf


CAME = (
    ("X-Customer", "4711"),
    ("X-Plan", "gold"),
    ("X-Secret", "s"),
    ("Diversion", "<sip:+12065550101@10.1.1.1:5070>;reason=no-answer"),
    ("Organization", "Inner"),
)


async def came_to_the_person(policy: HeaderSettings, **how: object) -> dict[str, str]:
    """Transfer a call by a trunk, and give what the person's INVITE has of the caller's, and how far it may go on."""

    def by_policy(ports: dict[str, int]) -> tuple[Trunk, ...]:
        return tuple(replace(each, headers=policy) for each in out(ports))

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.outcomes.append(await call.transfer("200", trunk="out", **how))  # type: ignore[arg-type]

    async with scene(agent, trunks=by_policy, bob=talks()) as stage:
        call = await stage.call(headers=CAME, max_forwards=23)
        bob = await stage.person("bob")
        await call.hangup()
        await stage.quiet()
    wanted = ("Max-Forwards", "Diversion", "Organization")
    return {name: value for name, value in bob.headers if name in wanted or name.startswith("X-")}


async def test_by_default_nothing_of_the_callers_invite_goes_out_with_a_transfer_and_hops_are_counted_on() -> None:
    assert await came_to_the_person(HeaderSettings()) == {"Max-Forwards": "22"}


async def test_what_the_targets_trunk_lets_pass_and_sets_goes_out_and_what_the_agent_says_counts_more() -> None:
    policy = HeaderSettings(passed=("X-*", "Diversion"), set={"X-Who": "{X-Customer}"}, hide=("X-Secret",))

    assert await came_to_the_person(policy, headers={"X-Plan": "was {X-Plan}", "X-Note": "vip"}, mode="warm") == {
        "Max-Forwards": "22",
        "X-Customer": "4711",
        "Diversion": "<sip:+12065550101@localhost>;reason=no-answer",
        "X-Plan": "was gold",
        "X-Note": "vip",
        "X-Who": "4711",
    }


async def test_a_call_that_has_gone_far_or_comes_back_to_its_number_is_a_loop_and_stays_with_the_agent() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.near.tasks.spawn(talk(call, AGENT_HZ), name="the agent's voice")
        target = stage.uri("bob") if spent else f"sip:{NUMBER}@127.0.0.1:{stage.near.endpoint.ports['udp']}"
        stage.outcomes.append(await call.transfer(target))
        await call.ended()

    tries = []
    for spent in (True, False):
        async with scene(agent, bob=talks()) as stage:
            call = await stage.call(max_forwards=0 if spent else 70)
            ear = Ear(call)
            tries.append(tried(await stage.outcome()))
            await is_back_with_the_agent(stage, ear)
            assert stage.people["bob"].calls == []

    assert tries == [[("INVITE", 483, "routing_loop", "sipflow")], [("INVITE", 482, "routing_loop", "carrier")]]
