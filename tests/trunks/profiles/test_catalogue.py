"""All profiles: each fact has its source, each setting exists and is one that a trunk takes."""

import re

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.trunks.fields import TrunkFields, trunk_from_fields
from sipflow.trunks.profiles.catalogue import PROFILES, find_profile
from sipflow.trunks.profiles.profile import Aspect, Profile

SOURCE = re.compile(r"https://[^ ]+( \(.*\))?|RFC [0-9]+( §[0-9.]+)?|[A-Za-z0-9-]+/[A-Za-z0-9_-]+ .+")
EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))


def test_the_providers_people_ask_for_are_there() -> None:
    assert list(PROFILES) == [
        "generic", "aircall", "twilio", "telnyx", "vonage", "ringcentral", "ringcx", "zoom", "five9", "genesys", "8x8",
        "dialpad", "asterisk", "freepbx", "3cx", "freeswitch",
    ]  # fmt: skip


@EVERY
def test_every_fact_has_its_source(profile: Profile) -> None:
    assert [fact.says for fact in profile.facts if SOURCE.fullmatch(fact.source) is None] == []


@EVERY
def test_who_calls_and_how_it_is_proved_is_known_of_everyone(profile: Profile) -> None:
    assert {Aspect.AUTH, Aspect.REGISTRATION} <= {fact.aspect for fact in profile.facts} or profile.name == "aircall"


@EVERY
def test_no_setting_is_said_twice(profile: Profile) -> None:
    keys = [key for fact in profile.facts for key in fact.sets]

    assert len(keys) == len(set(keys))


@EVERY
def test_a_trunk_takes_all_that_a_profile_says(profile: Profile) -> None:
    more = {"profile": profile.name}
    trunk = trunk_from_fields("x", TrunkFields(sip_domain="a.example", username="u", password="p", more=more))

    assert trunk is not None
    assert trunk.profile == profile.name
    assert set(profile.overridden(trunk)) <= {"sip_domain"}


def test_who_knows_no_refer_is_sent_none() -> None:
    never = [profile.name for profile in PROFILES.values() if profile.settings.get("refer.send") == "never"]

    assert never == ["aircall", "vonage", "ringcx", "five9"]


@pytest.mark.parametrize(("name", "found"), [("", "generic"), ("Twilio", "twilio"), ("8X8", "8x8")])
def test_a_profile_is_found_in_any_case(name: str, found: str) -> None:
    assert find_profile(name).name == found


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("asterix", "profile: 'asterix' is unknown; did you mean asterisk?"),
        ("q", "profile: 'q' is unknown; there are generic, aircall, twilio, telnyx,"),
    ],
)
def test_a_profile_that_is_not_there_is_told_with_what_is(name: str, sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        find_profile(name)

    assert str(refusal.value).startswith(sentence)
