"""FreeSWITCH with its vanilla configuration."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

_VANILLA = "signalwire/freeswitch conf/vanilla/sip_profiles"

FREESWITCH = Profile(
    name="freeswitch",
    title="FreeSWITCH",
    facts=(
        Fact(
            Aspect.AUTH,
            "The internal profile asks for a user's password; the external one asks nobody, and goes by access lists.",
            f"{_VANILLA}/external.xml",
        ),
        Fact(
            Aspect.REGISTRATION,
            "Users register with the internal profile. A gateway of its own registers elsewhere, by default for 3600 s;"
            " towards sipflow it says `register=false`.",
            f"{_VANILLA}/external/example.xml",
        ),
        Fact(
            Aspect.TRANSPORT,
            "TLS ports where nothing is said: 5061 of the internal profile, 5081 of the external one.",
            f"{_VANILLA}/external.xml",
        ),
        Fact(
            Aspect.HEALTH,
            "A gateway with `ping` asks with OPTIONS, and is down when nobody answers; sipflow does. We ask as well.",
            f"{_VANILLA}/external/example.xml",
            {"health.interval_s": 30.0},
        ),
        Fact(
            Aspect.REFER,
            "Taken, unless the profile says `disable-transfer`.",
            f"{_VANILLA}/internal.xml",
        ),
        Fact(
            Aspect.SESSION,
            "On, unless `enable-timer` is false; Min-SE is 120 s where it is set as proposed.",
            f"{_VANILLA}/internal.xml",
        ),
        Fact(
            Aspect.DTMF,
            "As telephone-events, payload type 101.",
            f"{_VANILLA}/internal.xml",
        ),
        Fact(
            Aspect.USELESS,
            "100rel: its own configuration warns of crashes where it is enabled, so early media needs no PRACK.",
            f"{_VANILLA}/internal.xml",
            {"prack": False},
        ),
    ),
)
