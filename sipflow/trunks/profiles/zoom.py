"""Zoom Phone and Zoom Contact Center: a voice bot behind a SIP trunk of theirs."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

ZOOM = Profile(
    name="zoom",
    title="Zoom Phone and Contact Center",
    facts=(
        Fact(
            Aspect.AUTH,
            "None in SIP: peers know each other by address and by TLS certificate. Ours must come from a public "
            "authority; self-signed ones are refused.",
            "https://developers.zoom.us/docs/contact-center/library/guides/3p-voicebot/config-sip-sbc.md",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None.",
            "https://docs.synthflow.ai/api-reference/platform-api/phone-numbers/create-custom-number.md",
            {"register": False, "sip_domain": "sip.zoom.com"},
        ),
        Fact(
            Aspect.TRANSPORT,
            "TLS 1.2 or later.",
            "https://developers.zoom.us/docs/contact-center/library/guides/3p-voicebot/config-sip-sbc.md",
            {"transport": "tls"},
        ),
        Fact(
            Aspect.REFER,
            "To other numbers of Zoom by SIP URI, not to telephone numbers of the world.",
            "https://docs.synthflow.ai/zoom",
        ),
        Fact(
            Aspect.NUMBERS,
            "Integration numbers need not be E.164: they are sent as they were given.",
            "https://docs.synthflow.ai/api-reference/platform-api/phone-numbers/create-custom-number.md",
        ),
        Fact(
            Aspect.CODECS,
            "Opus, G.722, G.711 and G.729; an INVITE must bring an offer (early offer), as ours always do.",
            "https://developers.zoom.us/docs/contact-center/library/guides/3p-voicebot/config-sip-sbc.md",
            {"codecs": ("opus", "G722", "PCMU", "PCMA")},
        ),
        Fact(
            Aspect.DTMF,
            "As telephone-events.",
            "https://developers.zoom.us/docs/contact-center/library/guides/3p-voicebot/config-sip-sbc.md",
        ),
        Fact(
            Aspect.SRTP,
            "Audio over the internet is SRTP.",
            "https://developers.zoom.us/docs/contact-center/library/guides/3p-voicebot/config-sip-sbc.md",
            {"srtp": "required"},
        ),
    ),
)
