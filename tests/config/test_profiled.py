"""A trunk's own words over those of its profile."""

import pytest

from sipflow.config.profiled import profiled
from sipflow.config.trunk_section import TrunkModel, make_trunk
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.profiles.catalogue import PROFILES
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.settings import HealthSettings, RegisterSettings
from sipflow.trunks.trunk import Trunk
from tests.config.sections import section_of, told


def read(text: str) -> tuple[Trunk | None, list[tuple[int, str, str]]]:
    section = section_of(text)
    model = section.validate(TrunkModel)
    assert model is not None
    return make_trunk(section, model, name="t", phone_number=""), told(section)


def trunk(text: str) -> Trunk:
    made, problems = read(text)
    assert problems == []
    assert made is not None
    return made


def test_a_trunk_begins_with_what_its_profile_says() -> None:
    assert trunk("profile: Vonage\nsip_domain: us.example\nusername: key\npassword: secret\n") == Trunk(
        "t",
        sip_domain="us.example",
        username="key",
        password="secret",
        refer=ReferSettings(send="never"),
        outbound=OutboundSettings(number_format="digits", caller_format="digits"),
        profile="vonage",
    )


def test_what_the_file_says_wins_key_by_key_and_the_rest_of_the_profile_stays() -> None:
    text = """
        profile: vonage
        sip_domain: us.example
        refer: {replaces: true}
        outbound: {caller_format: e164, ring_s: 20}
        """
    assert trunk(text) == Trunk(
        "t",
        sip_domain="us.example",
        refer=ReferSettings(send="never", replaces=True),
        outbound=OutboundSettings(number_format="digits", caller_format="e164", ring_s=20.0),
        profile="vonage",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("register: true", RegisterSettings()),
        ("register: {expires: 60}", RegisterSettings(expires=60)),
        ("register: false", None),
    ],
)
def test_a_profile_without_registration_registers_only_when_told_to(
    text: str, expected: RegisterSettings | None
) -> None:
    account = "profile: twilio\nsip_domain: a.pstn.twilio.com\nusername: u\npassword: secret\n"

    assert trunk(account + text).register == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip_domain: pbx.example.com", HealthSettings(interval_s=30.0)),
        ("sip_domain: pbx.example.com\nhealth: {misses: 3}", HealthSettings(interval_s=30.0, misses=3)),
        ("sip_domain: pbx.example.com\nhealth: true", HealthSettings(interval_s=30.0)),
        ("sip_domain: pbx.example.com\nhealth: false", None),
        ("accept_from: 10.0.0.5", None),
    ],
)
def test_a_far_end_is_watched_as_the_profile_says_where_there_is_one(
    text: str, expected: HealthSettings | None
) -> None:
    assert trunk("profile: asterisk\n" + text).health == expected


def test_nothing_is_taken_from_a_profile_that_says_nothing() -> None:
    model = TrunkModel(sip_domain="a.example")

    assert profiled(model, PROFILES["generic"]) is model


@pytest.mark.parametrize("name", [name for name, each in PROFILES.items() if not each.needs])
def test_every_profile_makes_a_trunk_out_of_a_domain_alone(name: str) -> None:
    assert trunk(f"profile: '{name}'\nsip_domain: a.example").profile == name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profile: twillio\nsip_domain: a", (1, "t.profile", "'twillio' is unknown; did you mean twilio?")),
        ("profile: dialpad\nsip_domain: a", (1, "t.profile", "Dialpad needs username and password")),
        ("profile: dialpad\nusername: a", (1, "t.profile", "Dialpad needs password")),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_at_its_key(text: str, problem: tuple[int, str, str]) -> None:
    line, key, why = problem

    (found, *_) = read(text)[1]

    assert (found[0], found[1].partition(".")[2] or found[1], found[2]) == (line, "profile", why), key
