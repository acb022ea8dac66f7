"""What was created, in memory."""

from datetime import UTC, datetime

import pytest

from sipflow.store.stored import Stored, StoredTrunk, e164_or_none, plain_json
from sipflow.trunks.fields import TrunkFields

AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE, TWO = "+12065550111", "+12065550112"


def test_attachments_are_kept_by_number_and_found_by_agent() -> None:
    stored = Stored()
    for number, agent, role in (
        (ONE, "a", "inbound"),
        (ONE, "b", "outbound"),
        (ONE, "b", "outbound"),
        (TWO, "b", "inbound"),
    ):
        stored.attach(number, agent, role)

    assert stored.attached == {ONE: (("a", "inbound"), ("b", "outbound")), TWO: (("b", "inbound"),)}
    assert (stored.inbound_of(ONE), stored.outbound_of(ONE), stored.inbound_of("+1")) == ("a", ("b",), None)
    assert list(stored.attachments_of("b")) == [(ONE, "outbound"), (TWO, "inbound")]


def test_copy_changes_alone() -> None:
    stored = Stored()
    stored.attach(ONE, "a", "inbound")
    copy = stored.copy()
    copy.detach(ONE, "a", "inbound")
    copy.detach(TWO, "a", "inbound")

    assert (stored.attached, copy.attached) == ({ONE: (("a", "inbound"),)}, {})


def test_trunk_that_cannot_be_made_here_is_said_and_stands_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    kept = StoredTrunk.revived("pbx", TrunkFields(sip_domain="a.example", more={"gone": 1}), AT, None)

    assert kept.trunk is None
    assert "a trunk in the store cannot be used" in capsys.readouterr().out


def test_only_e164_is_a_trunks_phone_number() -> None:
    assert [e164_or_none(text) for text in (ONE, "+1206555*", "200", "+4711")] == [ONE, "", "", ""]


def test_json_has_plain_mappings_and_lists() -> None:
    assert plain_json({"a": ({"b": (1, None)},)}) == {"a": [{"b": [1, None]}]}
