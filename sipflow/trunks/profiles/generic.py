"""Any SIP trunk or PBX: nothing is special, and all settings are as by default."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

GENERIC = Profile(
    name="generic",
    title="any SIP trunk or PBX",
    facts=(
        Fact(
            Aspect.AUTH,
            "Whatever the trunk says: an account that answers challenges, addresses (`accept_from`), or both.",
            "RFC 3261 §22",
        ),
        Fact(
            Aspect.REGISTRATION,
            "With username and password, for 300 s at a time, unless `register: false`.",
            "RFC 3261 §10",
        ),
        Fact(
            Aspect.TRANSPORT,
            "What DNS says of the domain; without NAPTR and SRV records UDP, port 5060 (TLS: 5061).",
            "RFC 3263 §4",
        ),
        Fact(Aspect.REFER, "Tried first; where it is refused the target is called instead.", "RFC 3515"),
        Fact(Aspect.SESSION, "Asked for at 1800 s, agreed to from 90 s up.", "RFC 4028 §4"),
        Fact(Aspect.CODECS, "PCMU and PCMA: every telephone has one of them.", "RFC 3551 §4.5.14"),
        Fact(Aspect.DTMF, "As telephone-events where the far end takes them, else as tones.", "RFC 4733"),
    ),
)
