from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sipflow.errors import Conflict, LocalProtocolError
from sipflow.numbers.inventory import Number
from sipflow.store import own_trunk
from sipflow.store.directory import Directory
from tests.store.directories import OURS, PASSWORD, PBX, UNUSED, directory, sqlite_database

__all__ = ["directory", "sqlite_database"]
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "given", "more"),
    [
        ("+442079460000", {}, {"region": "GB"}),
        ("+442079460000", {"region": "DE"}, {"region": "DE"}),
        ("4711", {}, {}),
    ],
)
def test_it_sends_the_national_numbers_of_its_numbers_country(
    number: str, given: dict[str, str], more: dict[str, str]
) -> None:
    assert own_trunk.make(number, replace(UNUSED, more=given), NOW).fields.more == more


async def test_number_brings_its_trunk_along(directory: Directory) -> None:
    made = await directory.add_number(OURS, PBX, friendly_name="Line 4", workspace_id="w1")

    trunk = directory.trunks[OURS]
    assert made == directory.number("12065550111") == directory.number(OURS)
    assert (made.number, made.slug, made.friendly_name, made.workspace_id) == (OURS, "12065550111", "Line 4", "w1")
    assert made.trunk_fields == replace(PBX, password="", more={"region": "US"})
    assert (made.has_password, made.declared, made.is_available, made.agents) == (True, False, True, ())
    assert (trunk.phone_number, trunk.password, trunk.auth_username) == (OURS, PASSWORD, "2001-auth")
    assert trunk.register is not None
    assert trunk.register.expires == 600
    assert directory.numbers.get(OURS) == Number(OURS, friendly_name="Line 4", trunk=OURS)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sip_domain": ""}, "termination_uri: is missing"),
        ({"sip_domain": "not a host"}, "termination_uri: 'not a host' cannot be used"),
        ({"outbound_proxy": "a b"}, "sip_outbound_proxy: "),
        ({"uac_enabled": True}, "trunk_username: is missing"),
        ({"uac_enabled": True, "username": "u"}, "trunk_pwd: is missing"),
        ({"uac_register_expires": 59}, "uac_register_expires: 59 is not in 60..3600 seconds"),
        ({"auth_username": "u"}, "sip_auth_username: it is set without password"),
        ({"provider_name": "acme"}, "provider_name: 'acme' is not one of"),
        ({"more": {"region": "zz"}}, "region: must be the two letters"),
    ],
)
async def test_wrong_field_is_named_in_the_words_of_the_reference(
    directory: Directory, fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        await directory.add_number(OURS, replace(UNUSED, **fields))  # type: ignore[arg-type]

    assert str(refusal.value).startswith(sentence)
    assert OURS not in directory.trunks


async def test_field_of_a_number_changes_alone(directory: Directory) -> None:
    await directory.add_number(OURS, PBX, friendly_name="Line 4")
    password = directory.trunks[OURS].password
    changed = await directory.change_number("12065550111", {"outbound_proxy": ""})
    trunk = directory.trunks[OURS]
    off = await directory.change_number("12065550111", {"uac_enabled": False}, friendly_name="Line 5")

    with pytest.raises(LocalProtocolError, match=r"^termination_uri: is missing"):
        await directory.change_number(OURS, {"sip_domain": ""})

    assert changed.trunk_fields == replace(PBX, password="", outbound_proxy="", more={"region": "US"})
    assert (trunk.outbound_proxy, trunk.password) == ("", password)
    assert changed.updated_at is not None
    assert (off.friendly_name, directory.trunks[OURS].register) == ("Line 5", None)


async def test_number_moves_to_a_trunk_and_back_to_its_own(directory: Directory) -> None:
    await directory.add_number(OURS, PBX)
    moved = await directory.change_number(OURS, trunk="local")
    assert (moved.trunk, OURS in directory.trunks) == ("local", False)
    with pytest.raises(Conflict, match="uses the trunk local, which is not its own"):
        await directory.change_number(OURS, {"sip_domain": "pbx.example.com"})
    with pytest.raises(LocalProtocolError, match="trunk: there is no trunk 'nowhere'"):
        await directory.change_number(OURS, trunk="nowhere")
    back = await directory.change_number(OURS, {"sip_domain": "sip.example.net"}, trunk="")

    assert (back.trunk, directory.trunks[OURS].sip_domain) == (OURS, "sip.example.net")


async def test_provider_changes_without_a_trunk_of_its_own(directory: Directory) -> None:
    await directory.add_number(OURS, trunk="local")
    changed = await directory.change_number(OURS, {"provider_name": "telnyx"})

    assert (changed.provider_name, changed.trunk) == ("telnyx", "local")


async def test_number_of_a_provider_that_says_all_itself_needs_no_fields(directory: Directory) -> None:
    five9 = await directory.add_number("agent-7", replace(UNUSED, provider_name="five9", sip_domain=""))
    zoom = await directory.add_number("4711", replace(UNUSED, provider_name="zoom", sip_domain=""))
    named = await directory.change_number("agent-7", {"sip_domain": "198.51.100.7"})

    assert (five9.trunk, five9.trunk_fields, five9.provider_name) == (None, None, "five9")
    assert (zoom.trunk, directory.trunks["4711"].sip_domain) == ("4711", "sip.zoom.com")
    assert named.trunk == "agent-7"


async def test_trunk_of_a_number_changes_with_the_number_only(directory: Directory) -> None:
    await directory.add_number(OURS, PBX)

    with pytest.raises(Conflict, match="belongs to the number"):
        await directory.remove_trunk(OURS)
