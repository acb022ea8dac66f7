"""Telnyx SIP trunking."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

TELNYX = Profile(
    name="telnyx",
    title="Telnyx SIP Trunking",
    facts=(
        Fact(
            Aspect.AUTH,
            "By the type of the connection: credentials, address (with a token, a prefix or P-Charge-Info), or FQDN "
            "for calls in with credentials or address for calls out.",
            "https://developers.telnyx.com/docs/voice/sip-trunking/authentication/credential-types",
        ),
        Fact(
            Aspect.REGISTRATION,
            "A credential connection registers; an FQDN connection does not: say `register: false` there.",
            "https://developers.telnyx.com/docs/voice/sip-trunking/authentication/credential-types",
        ),
        Fact(
            Aspect.TRANSPORT,
            "UDP and TCP on 5060, TLS 1.2 or later on 5061; audio from UDP ports 16384 to 32768. The names have NAPTR "
            "and SRV records, which lead to a second address as well.",
            "https://developers.telnyx.com/docs/voice/sip-trunking/network-configuration/ip-whitelisting",
        ),
        Fact(
            Aspect.REFER,
            "Works, with `sip:` and with `tel:` targets.",
            "https://docs.synthflow.ai/call-transfers",
        ),
        Fact(
            Aspect.NUMBERS,
            "The portal chooses how calls in name their numbers: choose +E.164. Calls out are in E.164.",
            "https://docs.synthflow.ai/telnyx",
            {"outbound.number_format": "e164"},
        ),
        Fact(
            Aspect.IDENTITY,
            "The caller ID policy of the connection allows, overrides or blocks From and P-Asserted-Identity.",
            "https://developers.telnyx.com/docs/development/llms/calling-sip-trunking-llms-txt",
        ),
        Fact(
            Aspect.CODECS,
            "Chosen in the portal (Inbound): G.711, G.722, Opus and others. Choose what `codecs` says.",
            "https://docs.synthflow.ai/telnyx",
        ),
        Fact(
            Aspect.DTMF,
            "Sent as telephone-events (the portal can say tones or SIP INFO); taken in every form.",
            "https://developers.telnyx.com/api-reference/credential-connections/update-a-credential-connection",
        ),
        Fact(
            Aspect.SRTP,
            "Off until the connection enables it.",
            "https://support.telnyx.com/en/articles/4404575-tls-srtp-zrtp",
        ),
    ),
)
