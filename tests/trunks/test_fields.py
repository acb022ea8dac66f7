"""The fields of a provider's form, and the trunk they make."""

from dataclasses import replace
from typing import Any

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.trunks.fields import PROVIDERS, TrunkFields, fields_of, from_json, to_json, trunk_from_fields
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.profiles.catalogue import PROFILES
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.settings import HealthSettings, InboundAuth, RegisterSettings
from sipflow.trunks.trunk import Trunk

PASSWORD = "open-sesame-92"
FULL = TrunkFields(
    sip_domain="pbx.example.com",
    username="2001",
    password=PASSWORD,
    outbound_proxy="sip:10.0.0.5:5065;transport=tcp",
    auth_username="2001-auth",
    origination_uri="sip:203.0.113.5:5060",
    uac_enabled=True,
    uac_register_expires=600,
    more={
        "region": "us",
        "codecs": ["pcma", "PCMU"],
        "accept_from": ["198.51.100.0/24"],
        "health": True,
        "authenticate_inbound": True,
        "outbound": {"ring_s": 20, "failover": ["backup"]},
    },
)
SAME = TrunkFields(
    sip_domain="pbx.example.com",
    username="2001",
    outbound_proxy="sip:10.0.0.5:5065;transport=tcp",
    auth_username="2001-auth",
    origination_uri="sip:203.0.113.5:5060",
    uac_enabled=True,
    uac_register_expires=600,
    more={
        "region": "US",
        "codecs": ["PCMA", "PCMU"],
        "accept_from": ["198.51.100.0/24"],
        "health": {},
        "authenticate_inbound": True,
        "outbound": {"ring_s": 20.0, "failover": ["backup"]},
        "advertise": "203.0.113.5:5060",
    },
)


def test_seven_fields_and_more_make_a_trunk() -> None:
    assert trunk_from_fields("+12065550101", FULL, phone_number="+12065550101") == Trunk(
        name="+12065550101",
        phone_number="+12065550101",
        sip_domain="pbx.example.com",
        username="2001",
        password=PASSWORD,
        outbound_proxy="sip:10.0.0.5:5065;transport=tcp",
        auth_username="2001-auth",
        origination_uri="sip:203.0.113.5:5060",
        register=RegisterSettings(expires=600),
        accept_from=Networks(["198.51.100.0/24"]),
        inbound_auth=InboundAuth("pbx.example.com", "2001", PASSWORD),
        health=HealthSettings(),
        codecs=("PCMA", "PCMU"),
        region="US",
        outbound=OutboundSettings(ring_s=20.0, failover=("backup",)),
    )


def test_trunk_is_shown_in_the_same_fields_without_its_password() -> None:
    trunk = trunk_from_fields("pbx", FULL)
    assert trunk is not None

    shown = fields_of(trunk)

    assert shown == SAME
    assert trunk_from_fields("pbx", replace(shown, password=PASSWORD)) == trunk


def test_stored_fields_come_back_and_hold_no_password() -> None:
    stored = to_json(FULL)

    assert from_json(stored, password=PASSWORD) == FULL
    assert from_json({**stored, "of_a_later_version": 1}, password="") == replace(FULL, password="")
    assert PASSWORD not in f"{stored}{FULL}"


@pytest.mark.parametrize(
    ("provider", "given", "destination", "registers"),
    [
        ("custom", {"sip_domain": "a.example"}, "sip:a.example", False),
        ("custom", {"sip_domain": "a.example", "username": "u", "password": "p"}, "sip:a.example", False),
        ("ring_central", {"sip_domain": "a.example", "username": "u", "password": "p"}, "sip:a.example", True),
        ("ringcx", {}, "sip:sip.ringcentral.com", False),
        ("zoom", {}, "sip:sip.zoom.com;transport=tls", False),
        ("zoom", {"outbound_proxy": "156.45.35.193:5061;transport=tls"}, "sip:156.45.35.193:5061;transport=tls", False),
        ("five9", {"sip_domain": "198.51.100.7"}, "sip:198.51.100.7;transport=tls", False),
    ],
)
def test_provider_fills_in_what_it_knows(
    provider: str, given: dict[str, Any], destination: str, registers: bool
) -> None:
    trunk = trunk_from_fields("x", TrunkFields(provider_name=provider, **given))

    assert trunk is not None
    assert (str(trunk.destination), trunk.register is not None) == (destination, registers)


def test_provider_brings_its_profile_and_what_the_client_says_wins_part_by_part() -> None:
    given = TrunkFields(
        provider_name="vonage",
        sip_domain="us.example",
        more={"outbound": {"caller_format": "e164"}},
    )
    trunk = trunk_from_fields("x", given)

    assert trunk == Trunk(
        "x",
        sip_domain="us.example",
        refer=ReferSettings(send="never"),
        outbound=OutboundSettings(number_format="digits", caller_format="e164"),
        profile="vonage",
    )
    assert trunk is not None
    assert trunk_from_fields("x", fields_of(trunk)) == trunk


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, HealthSettings(interval_s=30.0)),
        ({"health": True}, HealthSettings(interval_s=30.0)),
        ({"health": {"misses": 3}}, HealthSettings(interval_s=30.0, misses=3)),
        ({"health": {"interval_s": 60}}, HealthSettings(interval_s=60.0)),
        ({"health": False}, None),
    ],
)
def test_profile_of_a_pbx_is_named_beside_the_fields(more: dict[str, Any], expected: HealthSettings | None) -> None:
    trunk = trunk_from_fields("x", TrunkFields(sip_domain="pbx.example.com", more={"profile": "asterisk", **more}))

    refer = ReferSettings(final=True)
    assert trunk == Trunk("x", sip_domain="pbx.example.com", health=expected, refer=refer, profile="asterisk")


def test_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"^profile: 'asterix' is unknown; did you mean asterisk\?$"):
        trunk_from_fields("x", TrunkFields(sip_domain="a.example", more={"profile": "asterix"}))


def test_every_provider_has_a_profile_that_exists() -> None:
    assert {name: each.profile for name, each in PROVIDERS.items() if each.profile in PROFILES} == {
        "custom": "generic",
        "twilio": "twilio",
        "telnyx": "telnyx",
        "vonage": "vonage",
        "ring_central": "ringcentral",
        "ringcx": "ringcx",
        "zoom": "zoom",
        "five9": "five9",
    }


def test_provider_that_is_asked_for_nothing_makes_no_trunk() -> None:
    assert trunk_from_fields("x", TrunkFields(provider_name="five9")) is None


@pytest.mark.parametrize("provider", [name for name, each in PROVIDERS.items() if each.needs_domain])
def test_domain_is_needed(provider: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^sip_domain: is missing"):
        trunk_from_fields("x", TrunkFields(provider_name=provider))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"provider_name": "acme"}, "provider_name: 'acme' is not one of custom, twilio,"),
        ({"uac_enabled": True, "password": "p"}, "username: is missing"),
        ({"uac_enabled": True, "username": "u"}, "password: is missing"),
        ({"uac_register_expires": 59}, "register.expires: 59 is not in 60..3600 seconds"),
        ({"uac_register_expires": 3601}, "register.expires: 3601 is not in 60..3600 seconds"),
        ({"outbound_proxy": "a b"}, "outbound_proxy: 'a b' cannot be used"),
        ({"more": {"nonsense": 1}}, "nonsense: a trunk has no such setting; it has accept_from,"),
        ({"more": {"region": "ZZ"}}, "region: must be the two letters"),
        ({"more": {"authenticate_inbound": True}}, "authenticate_inbound: it needs the trunk's username and password"),
        ({"more": {"authenticate_inbound": "yes"}}, "authenticate_inbound: it must be true or false"),
        ({"more": {"accept_from": ["pbx.example.com"]}}, "accept_from: not a network"),
    ],
)
def test_wrong_field_is_named(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        trunk_from_fields("x", TrunkFields(**{"sip_domain": "a.example", **wrong}))

    assert str(refusal.value).startswith(sentence)
