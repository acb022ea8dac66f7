"""A profile: facts, and the settings that follow."""

from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.profiles.profile import Aspect, Fact, Profile, field_of
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.trunk import Trunk

PROFILE = Profile(
    name="acme",
    title="Acme",
    facts=(
        Fact(Aspect.REGISTRATION, "None.", "RFC 1", {"register": False}),
        Fact(Aspect.HEALTH, "Asked.", "RFC 2", {"health.interval_s": 30.0}),
        Fact(Aspect.REFER, "Never.", "RFC 3", {"refer.send": "never"}),
        Fact(Aspect.IDENTITY, "The account.", "RFC 4", {"outbound.from_user": "username"}),
        Fact(Aspect.NUMBERS, "Digits.", "RFC 5", {"outbound.number_format": "digits"}),
        Fact(Aspect.CODECS, "One.", "RFC 6", {"codecs": ("PCMU",)}),
        Fact(Aspect.USELESS, "Much.", "RFC 7"),
    ),
)


def test_settings_follow_from_the_facts() -> None:
    assert PROFILE.settings == {
        "register": False,
        "health.interval_s": 30.0,
        "refer.send": "never",
        "outbound.from_user": "username",
        "outbound.number_format": "digits",
        "codecs": ("PCMU",),
    }


def test_nested_settings_are_as_the_configuration_has_them() -> None:
    assert PROFILE.nested == {
        "register": False,
        "health": {"interval_s": 30.0},
        "refer": {"send": "never"},
        "outbound": {"from_user": "username", "number_format": "digits"},
        "codecs": ("PCMU",),
    }


def test_what_cannot_hold_for_a_trunk_is_left_out_and_the_profile_stays_whole() -> None:
    bare = PROFILE.fitting(username=False, far_end=False)

    assert bare == {
        "register": False,
        "refer": {"send": "never"},
        "outbound": {"number_format": "digits"},
        "codecs": ("PCMU",),
    }
    assert PROFILE.fitting(username=True, far_end=True) == PROFILE.nested


def test_what_is_known_of_an_aspect_can_be_asked() -> None:
    assert [fact.says for fact in PROFILE.about(Aspect.REFER)] == ["Never."]
    assert PROFILE.about(Aspect.SRTP) == ()


def test_a_trunk_tells_what_it_has_otherwise() -> None:
    as_it_is = Trunk(
        "a",
        sip_domain="a.example",
        username="u",
        refer=ReferSettings(send="never"),
        outbound=OutboundSettings(from_user="username", number_format="digits"),
        codecs=("PCMU",),
    )

    assert list(PROFILE.overridden(as_it_is)) == ["health.interval_s"]
    assert list(PROFILE.overridden(Trunk("a", sip_domain="a.example"))) == [
        "health.interval_s",
        "refer.send",
        "outbound.from_user",
        "outbound.number_format",
        "codecs",
    ]


def test_the_configuration_calls_one_field_otherwise() -> None:
    assert (field_of("session_timer"), field_of("codecs")) == ("session", "codecs")
