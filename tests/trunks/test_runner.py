import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.trunks.outputs import HealthState, RegistrationState
from sipflow.trunks.runner import HealthChecks, HealthStatus, Registrations, RegistrationStatus
from sipflow.trunks.settings import HealthSettings, RegisterSettings
from sipflow.trunks.trunk import Trunk
from tests.trunks.registrar import (
    SECRET,
    Answer,
    Play,
    accept,
    answered,
    granted,
    pbx,
    quiet,
    refuse,
    registration,
    silence,
)
from tests.trunks.virtual_time import run

REGISTRAR = Hop("udp", "10.0.0.5", 5060)


class Far:
    """A far end that answers as it is told, and remembers what it was asked and when."""

    def __init__(self, answer: Callable[[RequestPlan], Outcome]) -> None:
        self.answer = answer
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.asked: list[tuple[float, str]] = []

    async def request(self, plan: RequestPlan) -> Outcome:
        self.asked.append((round(self.loop.time() - self.began, 3), plan.method))
        await asyncio.sleep(0)
        return self.answer(plan)


class Paths:
    """Remembers which paths somebody wants open; `near` is our address towards everybody."""

    def __init__(self) -> None:
        self.open: list[Hop] = []
        self.near = "10.0.0.2"

    def near_end(self, host: str) -> str:
        return self.near if host else ""

    def keep_alive(self, hop: Hop) -> None:
        self.open.append(hop)

    def forget(self, hop: Hop) -> None:
        self.open.remove(hop)


def ids() -> Ids:
    return Ids(lambda size: bytes(range(size % 256)) if size < 256 else bytes(size))


def test_whoever_is_reached_from_another_address_registers_again_at_once_and_says_so() -> None:
    async def scenario() -> None:
        paths, far = Paths(), Far(granted)
        registrations = Registrations(far, ids=ids(), secret=SECRET, paths=paths, jitter=lambda: 0.0)
        registrations.apply([pbx()])
        await asyncio.sleep(1.0)
        with capture_logs() as logs:
            registrations.network_changed()  # something else has: nothing is done
            await asyncio.sleep(5.0)
            assert len(far.asked) == 1
            for paths.near in ("10.0.0.3", "", "10.0.0.3"):
                registrations.network_changed()
                await asyncio.sleep(5.0)

        assert far.asked == [(0.0, "REGISTER"), (6.0, "REGISTER"), (16.0, "REGISTER")]
        assert [(each["log_level"], each["event"]) for each in logs] == [
            (
                "warning",
                "our address towards 10.0.0.5 is 10.0.0.3 now, and was 10.0.0.2: its trunks register again; "
                "calls that are up may not be heard any more",
            ),
            ("warning", "this machine has no route to 10.0.0.5 any more: its trunks cannot register"),
            ("info", "there is a route to 10.0.0.5 again, from 10.0.0.3: its trunks register again"),
        ]
        await registrations.stop()

    run(scenario)


def test_a_way_that_changes_again_and_again_is_followed_ever_more_slowly() -> None:
    async def scenario() -> None:
        paths, far = Paths(), Far(granted)
        registrations = Registrations(far, ids=ids(), secret=SECRET, paths=paths, jitter=lambda: 0.0)
        registrations.apply([pbx()])
        for turn in range(100):
            paths.near = f"10.0.0.{2 + turn % 2}"
            await asyncio.sleep(1.0)
            registrations.network_changed()

        assert 4 <= len(far.asked) <= 8
        await registrations.stop()

    run(scenario)


def test_a_trunk_that_waits_long_after_many_failures_does_not_once_the_network_is_back() -> None:
    async def scenario() -> None:
        paths, far = Paths(), Far(silence)
        paths.near = ""
        registrations = Registrations(far, ids=ids(), secret=SECRET, paths=paths, jitter=lambda: 0.0)
        registrations.apply([pbx()])
        await asyncio.sleep(3600.0)
        asked = len(far.asked)
        paths.near, far.answer = "10.0.0.2", granted
        registrations.network_changed()
        await asyncio.sleep(3.0)

        assert len(far.asked) == asked + 1
        assert [each.state for each in registrations.states()] == [RegistrationState.REGISTERED]
        await registrations.stop()

    run(scenario)


def test_a_registrations_life_is_told_in_four_lines() -> None:
    async def scenario() -> None:
        far = Far(granted)
        registrations = Registrations(far, ids=ids(), secret=SECRET, jitter=lambda: 1.0)
        with capture_logs() as logs:
            registrations.apply([pbx(), pbx(name="silent", register=None)])
            await asyncio.sleep(800.0)  # four refreshes
            far.answer = silence
            await asyncio.sleep(200.0)
            far.answer = granted
            await asyncio.sleep(200.0)
            await registrations.stop()

        told = [(entry["log_level"], entry["event"]) for entry in logs if entry["log_level"] != "debug"]
        assert told == [
            ("info", "trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
            (
                "warning",
                "trunk pbx: REGISTER as 2001 to sip:pbx.example.com: no answer from udp:10.0.0.5:5060 "
                "(still registered for 105 s, next try in 1.0 s)",
            ),
            ("info", "trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
            ("info", "trunk pbx: un-registered"),
        ]

    run(scenario)


def test_every_state_can_be_shown() -> None:
    async def scenario() -> None:
        def answer(plan: RequestPlan) -> Outcome:
            return granted(plan) if plan.contact_user == "2001" else answered(plan, 403)

        registrations = Registrations(Far(answer), ids=ids(), secret=SECRET, jitter=lambda: 0.0)
        now = asyncio.get_running_loop().time()
        registrations.apply([pbx(), pbx(name="b", username="2002")])
        await asyncio.sleep(1.0)

        first, second = registrations.states()
        assert [registrations.status(name) for name in ("pbx", "b", "c")] == [first, second, None]
        assert first == RegistrationStatus(
            trunk="pbx",
            state=RegistrationState.REGISTERED,
            registered_until=now + 300.0,
            retry_at=now + 225.0,
            last_error="",
            doubt="",
            seen_as=None,
            answered_by=REGISTRAR,
        )
        assert (second.state, second.registered_until, second.last_error) == (
            RegistrationState.REJECTED,
            None,
            "trunk b: 403 Forbidden from 10.0.0.5 to REGISTER as 2002: check username and password",
        )
        await registrations.stop()

    run(scenario)


def test_who_took_us_is_told_and_the_way_to_him_kept_open_while_it_lasts() -> None:
    async def scenario() -> None:
        heard: list[tuple[str, str]] = []
        paths = Paths()
        far = Far(granted)
        registrations = Registrations(
            far,
            ids=ids(),
            secret=SECRET,
            on_source=lambda name, host: heard.append((name, host)),
            paths=paths,
            jitter=lambda: 1.0,
        )
        registrations.apply([pbx(register=RegisterSettings(expires=100))])
        await asyncio.sleep(1.0)
        assert (heard, paths.open) == ([("pbx", "10.0.0.5")], [REGISTRAR])

        far.answer = lambda plan: granted(plan, host="10.0.0.6")
        await asyncio.sleep(70.0)
        assert paths.open == [REGISTRAR._replace(host="10.0.0.6")]

        far.answer = silence
        await asyncio.sleep(200.0)
        assert paths.open == []

        far.answer = granted
        await asyncio.sleep(300.0)
        assert paths.open == [REGISTRAR]
        await registrations.stop()
        assert paths.open == []

    run(scenario)


def test_a_lost_connection_registers_again_within_two_seconds_whoever_used_it() -> None:
    async def scenario() -> None:
        def answer(plan: RequestPlan) -> Outcome:
            tcp = plan.contact_user == "2001"
            return answered(plan, 200, transport="tcp" if tcp else "udp")

        far = Far(answer)
        registrations = Registrations(far, ids=ids(), secret=SECRET, jitter=lambda: 0.5)
        registrations.apply([pbx(), pbx(name="b", username="2002")])
        await asyncio.sleep(10.0)

        registrations.flow_lost(Hop("tcp", "10.0.0.5", 5060, connection=7), "reset by peer")
        await asyncio.sleep(10.0)

        assert far.asked == [(0.0, "REGISTER"), (0.002, "REGISTER"), (11.0, "REGISTER")]
        await registrations.stop()

    run(scenario)


# A registrar that has lost us


def test_a_registrar_under_suspicion_is_asked_early_and_no_earlier_than_it_deserves() -> None:
    machine = registration(jitter=0.5)
    play = Play(machine, accept).start(until=50.0)

    assert (machine.suspect(now=50.0, within_s=2.0, trusted_s=60.0), machine.retry_at) == ([], 210.0)
    play.run(60.0)
    play.do(machine.suspect(now=60.0, within_s=2.0, trusted_s=60.0))
    play.run(100.0)

    assert play.times() == [0.0, 61.0]
    assert machine.retry_at == 271.0


@pytest.mark.parametrize("answer", [quiet, refuse(503), refuse(403)])
def test_suspicion_does_not_hurry_a_trunk_whose_register_has_failed(answer: Answer) -> None:
    def times(suspected_at: range) -> list[float]:
        machine = registration()
        play = Play(machine, lambda plan, now: (accept if now < 200.0 else answer)(plan, now)).start()
        for at in suspected_at:
            play.run(at)
            play.do(machine.suspect(now=at))
        return play.run(4000.0).times()

    assert times(range(421, 4000)) == times(range(0)) != [0.0, 195.0, 390.0]


def test_a_trunk_that_is_not_registered_is_above_suspicion() -> None:
    machine = registration()
    assert machine.suspect(now=0.0) == []
    Play(machine, refuse(403)).start(until=10.0)

    assert machine.suspect(now=10.0) == []


class Restarted(Far):
    """A registrar that was away for a while, and has lost its table."""

    def __init__(self) -> None:
        super().__init__(granted)
        self.bound: set[str] = set()

    async def request(self, plan: RequestPlan) -> Outcome:
        outcome = await super().request(plan)
        if outcome.status == 200:
            self.bound.add(plan.contact_user)
        return outcome

    async def restart(self, away_s: float) -> None:
        self.bound.clear()
        self.answer = silence
        await asyncio.sleep(away_s)
        self.answer = granted


def registered(far: Far, *trunks: Trunk) -> Registrations:
    registrations = Registrations(far, ids=ids(), secret=SECRET, jitter=lambda: 0.5)
    registrations.apply(trunks or [pbx()])
    return registrations


def test_a_registrar_that_a_ping_over_udp_did_not_find_is_registered_with_again_as_soon_as_it_is_back() -> None:
    async def scenario() -> None:
        far = Restarted()
        registrations = registered(far, pbx(), pbx(name="b", username="2002"))
        await asyncio.sleep(50.0)

        restart = asyncio.create_task(far.restart(5.0))
        await asyncio.sleep(0.1)
        for _ in range(10):  # every REGISTER that fails brings the same news
            registrations.flow_lost(REGISTRAR, "Connection refused")
            await asyncio.sleep(0.6)
        await restart
        await asyncio.sleep(4.0)

        assert far.bound == {"2001", "2002"}
        times = [at for at, _ in far.asked]
        assert times == [0.0, 0.002, 51.1, 51.1, 51.975, 51.975, 53.725, 53.725, 57.225, 57.225]
        await registrations.stop()

    run(scenario)


def test_a_registrar_that_forgets_us_without_a_word_is_found_at_the_next_refresh_at_the_latest() -> None:
    async def scenario() -> None:
        far = Restarted()
        registrations = registered(far)
        await asyncio.sleep(10.0)

        await far.restart(0.0)
        await asyncio.sleep(215.0)

        assert far.bound == {"2001"}
        await registrations.stop()

    run(scenario)


@pytest.mark.parametrize("status", [403, 404, 408, 503])
def test_a_call_that_fails_as_if_we_were_forgotten_registers_within_two_seconds(status: int) -> None:
    async def scenario() -> None:
        far = Restarted()
        registrations = registered(far)
        await asyncio.sleep(70.0)
        await far.restart(0.0)

        registrations.call_failed("pbx", status)
        await asyncio.sleep(2.0)

        assert (far.bound, far.asked) == ({"2001"}, [(0.0, "REGISTER"), (71.0, "REGISTER")])
        await registrations.stop()

    run(scenario)


def test_calls_that_fail_one_after_the_other_register_once_a_minute() -> None:
    async def scenario() -> None:
        far = Far(granted)
        registrations = registered(far)
        for _ in range(1800):
            await asyncio.sleep(0.1)
            registrations.call_failed("pbx", 404)
        await asyncio.sleep(0.0)

        assert [at for at, _ in far.asked] == [0.0, 61.1, 122.2]
        await registrations.stop()

    run(scenario)


def test_a_call_that_was_busy_declined_or_of_another_trunk_registers_nobody() -> None:
    async def scenario() -> None:
        far = Far(granted)
        registrations = registered(far)
        await asyncio.sleep(70.0)
        for status in (200, 401, 480, 486, 487, 500, 603):
            registrations.call_failed("pbx", status)
        registrations.call_failed("nobody", 403)
        await asyncio.sleep(10.0)

        assert far.asked == [(0.0, "REGISTER")]
        await registrations.stop()

    run(scenario)


def test_a_far_end_that_comes_back_is_registered_with_again() -> None:
    async def scenario() -> None:
        far = Far(granted)
        registrations = Registrations(far, ids=ids(), secret=SECRET, jitter=lambda: 0.0)
        checks = HealthChecks(far, ids=ids(), on_recovered=registrations.kick, jitter=lambda: 0.0)
        trunk = pbx(health=HealthSettings(), register=RegisterSettings(expires=3600))
        registrations.apply([trunk])
        checks.apply([trunk, pbx(name="unwatched")])
        await asyncio.sleep(20.0)
        far.answer = silence
        await asyncio.sleep(60.0)
        assert checks.states() == [
            HealthStatus(
                "pbx",
                HealthState.DOWN,
                2,
                "trunk pbx: OPTIONS to sip:pbx.example.com: no answer from udp:10.0.0.5:5060",
                0.0,
            )
        ]
        assert checks.is_down("pbx")
        far.answer = granted
        await asyncio.sleep(20.0)

        assert not checks.is_down("pbx")
        assert [at for at, method in far.asked if method == "REGISTER"] == [0.0, 90.0]
        assert checks.states() == [HealthStatus("pbx", HealthState.UP, 0, "", 0.0)]
        registrations.kick("nobody")
        await checks.stop()
        await registrations.stop()
        assert len(asyncio.all_tasks()) == 1

    run(scenario)
