"""What is declared and what was created, as one view."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from sipflow.errors import NotFound
from sipflow.numbers.inventory import Number
from sipflow.store.entries import AgentEntry
from sipflow.store.merged import Declared, Merged
from sipflow.store.stored import Stored, StoredNumber, StoredTrunk
from sipflow.trunks.fields import TrunkFields
from sipflow.trunks.trunk import Trunk

AT = datetime(2026, 11, 21, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
ONE, TWO = "+12065550111", "+12065550112"
PBX = Trunk(name="pbx", sip_domain="pbx.example.com", username="u", password="p")


def declared(numbers: Iterable[Number] = (), agents: Iterable[str] = (), before: Declared | None = None) -> Declared:
    each: list[tuple[str, str, dict[str, object]]] = [(name, "echo", {}) for name in agents]
    return Declared.of({"pbx": PBX}, numbers, each, before=before or Declared(), now=LATER if before else AT, where="f")


def stored(*numbers: str, **agents: str) -> Stored:
    found = Stored()
    for number in numbers:
        found.numbers[number] = StoredNumber(number, number.lstrip("+"), "", "custom", "w", number, {}, AT)
        fields = TrunkFields(sip_domain="a.example", username="u", password="p")
        found.trunks[number] = StoredTrunk.revived(number, fields, AT, None)
    for name, kind in agents.items():
        found.agents[name] = AgentEntry(name, name, kind, "echo", {}, {}, False, AT)
    return found


def test_declared_thing_keeps_its_age_over_a_reload() -> None:
    first = declared([Number(ONE)])
    second = declared([Number(ONE), Number(TWO)], before=first)

    assert {key: at for key, at in second.since.items() if key[0] == "number"} == {
        ("number", ONE): AT,
        ("number", TWO): LATER,
    }


def test_both_are_there_and_the_declared_ones_come_first() -> None:
    merged = Merged(declared([Number("200")], ["echo"]), stored(ONE, desk="inbound"))

    assert (merged.names, merged.trunk_names()) == (("200", ONE), ("pbx", ONE))
    assert list(merged.agents) == ["echo", "desk"]
    assert list(merged.trunks) == ["pbx", ONE]
    assert [number.number for number in merged.numbers] == ["200", ONE]
    assert (merged.name_of("12065550111"), merged.name_of("200")) == (ONE, "200")
    assert (merged.trunk("pbx").declared, merged.trunk(ONE).declared) == (True, False)
    assert merged.trunk("pbx").fields.password == merged.trunk(ONE).fields.password == ""
    assert merged.trunk("pbx").has_password


def test_declared_thing_hides_the_created_one() -> None:
    merged = Merged(declared([Number(ONE, friendly_name="declared")]), stored(ONE))

    assert merged.number(ONE).friendly_name == "declared"
    assert (merged.names, list(merged.shadowed())) == ((ONE,), [("number", ONE)])


def test_agents_that_are_gone_do_not_count() -> None:
    kept = stored(ONE, desk="inbound")
    for agent, role in (("gone", "inbound"), ("desk", "outbound"), ("gone", "outbound")):
        kept.attach(ONE, agent, role)
    merged = Merged(declared(), kept)

    assert merged.numbers.get(ONE) == Number(ONE, trunk=ONE, outbound_agents=("desk",))
    assert (merged.numbers_of("desk"), merged.numbers_of("gone")) == (((ONE, "outbound"),), ())
    assert not merged.has_inbound(ONE)


def test_number_whose_trunk_is_gone_says_nothing_of_it() -> None:
    kept = stored(ONE)
    del kept.trunks[ONE]

    assert (Merged(declared(), kept).number(ONE).trunk, Merged(declared(), kept).number(ONE).trunk_fields) == (
        ONE,
        None,
    )


def test_limits_are_those_of_created_numbers_that_have_some() -> None:
    kept = stored(ONE, TWO)
    kept.numbers[ONE] = StoredNumber(ONE, ONE[1:], "", "custom", "", None, {"max_calls": 2}, AT)

    assert Merged(declared(), kept).limits == {ONE: {"max_calls": 2}}


def test_what_is_not_there_is_said_so() -> None:
    merged = Merged(declared(), Stored())

    for look in (merged.name_of, merged.number, merged.trunk, merged.agent):
        with pytest.raises(NotFound):
            look("nothing")
