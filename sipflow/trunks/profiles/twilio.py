"""Twilio Elastic SIP Trunking."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

TWILIO = Profile(
    name="twilio",
    title="Twilio Elastic SIP Trunking",
    facts=(
        Fact(
            Aspect.AUTH,
            "Calls to Twilio (termination): an IP access control list, a credential list, or both. Calls from Twilio "
            "(origination) prove nothing but their address.",
            "https://www.twilio.com/docs/sip-trunking",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None: calls come as INVITE to the origination URI. A username and password answer challenges only.",
            "https://docs.daily.co/docs/guides/features/dial-in-dial-out/sip-trunk/twilio.md",
            {"register": False},
        ),
        Fact(
            Aspect.TRANSPORT,
            "Calls may come from every address of every region, of which not all are in use at any time. Audio comes "
            "from 168.86.128.0/18, UDP ports 10000 to 60000.",
            "https://www.twilio.com/docs/sip-trunking/ip-addresses",
        ),
        Fact(
            Aspect.HEALTH,
            "OPTIONS were seen answered with 200 (by one of its SIP domains), so `health` can be switched on.",
            "https://github.com/mnutt/rotary/issues/1",
        ),
        Fact(
            Aspect.REFER,
            "Blind only, and only where Call Transfer is enabled on the trunk; to telephone numbers only where "
            "transfers to the PSTN are enabled as well.",
            "https://www.twilio.com/docs/sip-trunking/call-transfer",
        ),
        Fact(
            Aspect.NUMBERS,
            "Every number sent to it is E.164; anything else is error 32101.",
            "https://www.twilio.com/docs/api/errors/32101",
            {"outbound.number_format": "e164"},
        ),
        Fact(
            Aspect.IDENTITY,
            "From must be a number of the account or a verified caller id; anything else is error 32204.",
            "https://www.twilio.com/docs/api/errors/32204",
            {"outbound.caller_format": "e164"},
        ),
        Fact(
            Aspect.CODECS,
            "PCMU, then PCMA. G.729, Opus and AMR only where Twilio has enabled them.",
            "https://www.twilio.com/docs/sip-trunking/codecs",
            {"codecs": ("PCMU", "PCMA")},
        ),
        Fact(
            Aspect.SRTP,
            "Only with Secure Trunking, and then nothing else; without it SRTP is error 32207.",
            "https://www.twilio.com/docs/api/errors/32207",
        ),
        Fact(
            Aspect.USELESS,
            "REGISTER, and REFER with Replaces: transfers are blind.",
            "https://www.twilio.com/docs/sip-trunking/call-transfer",
        ),
    ),
)
