"""Vonage SIP trunking (once Nexmo)."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

VONAGE = Profile(
    name="vonage",
    title="Vonage SIP Trunking",
    facts=(
        Fact(
            Aspect.AUTH,
            "Each INVITE answers a digest challenge (user key and secret), or comes from an address of the access "
            "control list; at least one of the two is switched on.",
            "https://developer.vonage.com/en/sip/technical-details",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None is described: the INVITE itself proves who calls.",
            "https://developer.vonage.com/en/sip/technical-details",
            {"register": False},
        ),
        Fact(
            Aspect.TRANSPORT,
            "To the trunk's own domain, as in yourcompany.sip-us.vonage.com.",
            "https://developer.vonage.com/en/sip/technical-details",
        ),
        Fact(
            Aspect.REFER,
            "Not supported. A transfer is a call of ours, joined with the caller's.",
            "https://docs.synthflow.ai/vonage.md (which names Vonage's own article 360039121391)",
            {"refer.send": "never"},
        ),
        Fact(
            Aspect.NUMBERS,
            "E.164 as Vonage writes it: country code and digits, without the +.",
            "https://developer.vonage.com/en/sip/technical-details",
            {"outbound.number_format": "digits"},
        ),
        Fact(
            Aspect.IDENTITY,
            "The number shown stands in From, as in `sip:447700900000@yourcompany.com`.",
            "https://developer.vonage.com/en/sip/technical-details",
            {"outbound.caller_format": "digits"},
        ),
        Fact(
            Aspect.CODECS,
            "PCMA, PCMU, G.722, iLBC, G.729 and Speex. A first codec that it does not know is answered badly.",
            "https://developer.vonage.com/en/sip/technical-details",
        ),
        Fact(
            Aspect.REQUEST_URI,
            "The number that was called stands before the @ of the URI configured there.",
            "https://docs.daily.co/docs/guides/features/dial-in-dial-out/sip-trunk/vonage",
        ),
        Fact(
            Aspect.USELESS,
            "REFER, and REGISTER.",
            "https://docs.synthflow.ai/vonage.md",
        ),
    ),
)
