"""Toll fraud: rules and budgets, and that no INVITE of ours goes past them."""

from dataclasses import replace

import pytest

from sipflow.calls.inbound import InboundCall
from sipflow.calls.routes import Router
from sipflow.calls.toll_rules import Budget, TollRules, TollSettings
from sipflow.calls.tolls import Tolls
from sipflow.errors import LimitReached, LocalProtocolError, TransportError
from sipflow.numbers.inventory import Inventory, Number
from sipflow.numbers.use import Day
from sipflow.sip.uri import SipUri
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import CALLEE, Outgoing, answers, outgoing, refuses, story, tries
from tests.calls.stage import LOCAL, NUMBER, staged

SECRET = b"0123456789abcdef"
US = Trunk(name="us", sip_domain="us.example.com", region="US")
BARE = Trunk(name="bare", sip_domain="bare.example.com")
PREMIUM, ABROAD = "+19005551234", "+4930123456"


class Desk:
    """Tolls before a clock that is turned by hand."""

    def __init__(self, settings: TollSettings | None = None, *numbers: Number) -> None:
        self.now, self.today = 1000.0, 1
        router = Router(TrunkTable([US, BARE], secret=SECRET), Inventory(numbers))
        self.router = router
        self.tolls = Tolls(settings or TollSettings(), router, clock=lambda: self.now, day=self._day)

    def _day(self) -> Day:
        return Day(self.today, 5000.0)

    def why(self, callee: str, trunk: Trunk | None = US, number: str = "") -> str:
        try:
            self.tolls.check(callee, trunk, number)
        except LocalProtocolError as error:
            return str(error)
        return ""

    def why_target(self, uri: str, trunk: Trunk | None) -> str:
        user, _, host = uri.partition("@")
        try:
            self.tolls.check_target(SipUri("sip", user, None, host), trunk)
        except LocalProtocolError as error:
            return str(error)
        return ""

    def limit(self, call: str, **of: str) -> tuple[str, int]:
        """The limit that refuses a call, and when to come back; nothing if it may go."""
        try:
            self.tolls.take(call, of.get("trunk", "us"), of.get("number", ""), of.get("token", ""))
        except LimitReached as error:
            return error.limit, error.retry_after_s
        return "", 0


def test_a_refusal_names_number_trunk_rule_and_where_it_is_written() -> None:
    own = TollSettings(trunk_rules={"us": TollRules(deny=("+1206",))})

    assert Desk().why(ABROAD) == (
        "to: '+4930123456' may not be called by trunk us: it is in DE, and only US is called (countries); see tolls"
    )
    assert Desk(own).why("206 555 0123") == (
        "to: '+12065550123' may not be called by trunk us: "
        "numbers that begin with +1206 are not called (deny); see trunks.us.tolls"
    )


@pytest.mark.parametrize("written", ["011 49 30 123456", "00 49 30 123456", "+49-30-123456", "tel:+4930123456"])
def test_however_a_number_is_written_its_country_counts(written: str) -> None:
    assert "it is in DE" in Desk().why(written)


def test_a_trunk_without_region_is_where_its_numbers_are() -> None:
    ours = Number("+442079460000", trunk="bare"), Number("+33123456789", trunk="us")
    with_number = replace(BARE, phone_number="+33123456780")

    assert "set its region" in Desk().why("+12065550123", BARE)
    assert Desk().why("+12065550123", BARE, "+12065550100") == ""
    assert Desk().why("+33123456789", with_number) == ""
    assert Desk(None, *ours).why("+442079460001", BARE) == ""
    assert "only GB is called" in Desk(None, *ours).why("+33123456789", BARE)


@pytest.mark.parametrize(
    ("outbound", "user"),
    [
        ({"number_format": "digits"}, "4930123456"),
        ({"number_format": "digits", "prefix": "9"}, "94930123456"),
        ({"number_format": "e164", "strip": "+"}, "4930123456"),
        ({"number_format": "e164", "prefix": "00", "strip": "+"}, "004930123456"),
        ({"number_format": "as_given"}, "0114930123456"),
    ],
)
def test_a_request_uri_is_judged_however_the_trunk_has_numbers_written(outbound: dict[str, str], user: str) -> None:
    trunk = replace(US, outbound=OutboundSettings(**outbound))  # type: ignore[arg-type]

    assert "it is in DE" in Desk().why_target(f"{user}@us.example.com", trunk)


def test_an_address_without_trunk_is_judged_by_the_trunk_that_it_names() -> None:
    assert "it is in DE" in Desk().why_target("+4930123456@US.example.com", None)
    assert Desk().why_target("+4930123456@elsewhere.example.com", None) == ""
    assert Desk().why_target("proj_x@us.example.com", None) == ""


def test_a_minutes_budget_opens_again_as_calls_grow_old() -> None:
    desk = Desk(TollSettings(each_trunk=Budget(calls_per_minute=2)))

    found = [desk.limit("1"), desk.limit("2"), desk.limit("3")]
    desk.now += 20
    found.append(desk.limit("4"))
    desk.now += 40
    found += [desk.limit("5"), desk.limit("6"), desk.limit("7"), desk.limit("8", trunk="bare")]

    no = "trunks.us.tolls.calls_per_minute"
    assert found == [("", 0), ("", 0), (no, 60), (no, 40), ("", 0), ("", 0), (no, 60), ("", 0)]


def test_a_days_budget_opens_again_at_midnight() -> None:
    desk = Desk(TollSettings(whole=Budget(calls_per_day=1)))

    found = [desk.limit("1"), desk.limit("2")]
    desk.today += 1

    assert [*found, desk.limit("3")] == [("", 0), ("tolls.calls_per_day", 4000), ("", 0)]


def test_minutes_are_counted_while_a_call_is_up_and_as_talked_once_it_is_over() -> None:
    desk = Desk(TollSettings(trunks={"us": Budget(minutes_per_day=10)}))
    desk.limit("1")
    desk.now += 599
    found = [desk.limit("2")]
    desk.now += 1
    found.append(desk.limit("3"))
    desk.tolls.spent("1", 30.0)
    desk.tolls.spent("2", 0.0)
    desk.tolls.spent("2", 9999.0)
    found.append(desk.limit("4"))
    desk.tolls.spent("4", 570.0)

    assert [*found, desk.limit("5")] == [
        ("", 0),
        ("trunks.us.tolls.minutes_per_day", 3400),
        ("", 0),
        ("trunks.us.tolls.minutes_per_day", 3400),
    ]


def test_numbers_and_tokens_have_budgets_of_their_own_and_a_refusal_counts_nothing() -> None:
    one = Budget(calls_per_day=1)
    desk = Desk(TollSettings(each_number=one, each_token=one, whole=Budget(calls_per_day=3)))

    found = [
        desk.limit("1", number="+12065550100", token="a"),
        desk.limit("1", number="+12065550100", token="a"),  # the same call once more
        desk.limit("2", number="+12065550100", token="b"),
        desk.limit("3", number="+12065550101", token="a"),
        desk.limit("4", number="+12065550101", token="b"),
        desk.limit("5", number="+12065550102", token="c"),
        desk.limit("6", number="+12065550103", token="d"),
    ]

    assert [limit for limit, _ in found] == [
        "",
        "",
        "tolls.each_number.+12065550100.calls_per_day",
        "tolls.each_token.a.calls_per_day",
        "",
        "",
        "tolls.calls_per_day",
    ]


# On the wire


def test_what_is_used_is_counted_on_after_a_restart() -> None:
    settings = TollSettings(whole=Budget(calls_per_day=3), each_number=Budget(minutes_per_day=1))
    before = Desk(settings)
    for call in ("a", "b"):
        before.limit(call, number="+12065550100")
    before.now += 40
    before.tolls.spent("a", 30.0)
    kept = before.tolls.take_changed()
    again = before.tolls.take_changed()
    before.tolls.put_back(kept)
    after = Desk(settings)
    first = after.limit("c")  # it may come before the store is open
    after.tolls.restore({**kept, "tolls.each_number.x": {"calls": 1}, "trunks.us.tolls": {}})

    assert kept == {
        "tolls": {"day": 1, "calls": 2, "talked_s": 70.0},
        "tolls.each_number.+12065550100": {"day": 1, "calls": 2, "talked_s": 70.0},
    }
    assert (again, before.tolls.take_changed()) == ({}, kept)
    assert first == ("", 0)
    assert after.limit("d") == ("tolls.calls_per_day", 4000)
    after.tolls.settings = TollSettings(each_number=Budget(minutes_per_day=1))
    assert after.limit("d", number="+12065550100")[0] == "tolls.each_number.+12065550100.minutes_per_day"


def test_what_was_used_on_another_day_does_not_count() -> None:
    desk = Desk(TollSettings(whole=Budget(calls_per_day=1)))
    desk.tolls.restore({"tolls": {"day": 0, "calls": 1, "talked_s": 0.0}})

    assert desk.limit("a") == ("", 0)


def guarded(stage: Outgoing, **settings: object) -> Tolls:
    board = stage.near.switchboard
    board.tolls = Tolls(
        TollSettings(**settings),  # type: ignore[arg-type]
        board.doorkeeper.router,
        clock=lambda: board.now,
        day=lambda: board.limits.day,
    )
    return board.tolls


async def test_an_order_to_a_number_that_may_not_be_called_is_refused_before_anything_is_sent() -> None:
    async with outgoing(answers) as stage:
        guarded(stage)
        with pytest.raises(LocalProtocolError, match="premium rate number"):
            stage.order(PREMIUM)
        with pytest.raises(LocalProtocolError, match="it is in DE"):
            stage.order(ABROAD)
        record = stage.order(CALLEE)
        await stage.over(record)

        assert (stage.numbers.undone, len(stage.calls["a"].calls)) == (2, 1)


async def test_a_budget_that_is_used_up_refuses_an_order() -> None:
    async with outgoing(answers) as stage:
        tolls = guarded(stage, each_token=Budget(calls_per_day=1))
        await stage.over(stage.order(token="t1"))
        with pytest.raises(LimitReached, match=r"the budget of token t1 is used up: 1 calls a day") as refused:
            stage.order(token="t1")

        assert (refused.value.limit, tolls._live) == ("tolls.each_token.t1.calls_per_day", {})


async def test_a_redirection_does_not_dial_out_past_the_rules() -> None:
    async with outgoing(refuses(302, Contact=f"<sip:{PREMIUM}@127.0.0.1>")) as stage:
        guarded(stage)
        record = await stage.over(stage.order())

    assert [trunk for trunk, _, _ in tries(record)] == ["a", "a"]
    assert "premium rate number" in tries(record)[1][2]
    assert story(record)[-1] == "ended"


async def test_fail_over_does_not_dial_out_by_a_trunk_that_may_not() -> None:
    async with outgoing(refuses(503), answers) as stage:
        guarded(stage, trunk_rules={"b": TollRules(deny=("+1",))})
        record = await stage.over(stage.order())

        assert (record.answered_at, len(stage.calls["b"].calls)) == (None, 0)
    assert "numbers that begin with +1 are not called (deny)" in tries(record)[-1][2]


async def test_a_second_call_of_an_agent_is_judged_too() -> None:
    found: list[str] = []

    async def dials(call: InboundCall) -> None:
        for uri, trunk in ((PREMIUM, "local"), (f"sip:{PREMIUM}@127.0.0.1:9", ""), (NUMBER, "local")):
            try:
                await call.dial(uri, trunk=trunk)
            except (LocalProtocolError, TransportError) as error:
                found.append(str(error))

    pbx = replace(LOCAL, sip_domain="pbx.example.com", outbound_proxy="127.0.0.1:9")
    async with staged(dials, trunks=(pbx,)) as stage:
        board = stage.callee.switchboard
        tolls = board.tolls = Tolls(
            TollSettings(whole=Budget(calls_per_day=3)),
            board.doorkeeper.router,
            clock=lambda: board.now,
            day=lambda: board.limits.day,
        )
        call = await stage.caller.switchboard.place(stage.plan())
        await call.ended()
        await stage.quiet()

        assert tolls._live == {}
    assert ["premium rate number" in each for each in found[:2]] == [True, True]
