"""Five9 AI Agent Connect: an IVR script hands a call over and takes it back with the BYE."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

FIVE9 = Profile(
    name="five9",
    title="Five9 AI Agent Connect",
    facts=(
        Fact(
            Aspect.AUTH,
            "By address. An older guide for a SIP trunk of one's own also names digest.",
            "https://docs.synthflow.ai/sip-with-five9.md",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None.",
            "https://docs.synthflow.ai/api-reference/platform-api/phone-numbers/create-custom-number.md",
            {"register": False},
        ),
        Fact(
            Aspect.TRANSPORT,
            "TLS, through a proxy of the region, which Five9 names.",
            "https://docs.synthflow.ai/api-reference/platform-api/phone-numbers/create-custom-number.md",
            {"transport": "tls"},
        ),
        Fact(
            Aspect.REFER,
            "Not supported. The call goes back when we hang up: X-headers on our BYE become call variables.",
            "https://livekit.io/field-guides/guide/five9-sip-bye-headers-transfer",
            {"refer.send": "never"},
        ),
        Fact(
            Aspect.NUMBERS,
            "Ten pseudo numbers, which need not be E.164.",
            "https://docs.synthflow.ai/five9",
        ),
        Fact(
            Aspect.REQUEST_URI,
            "A pseudo number; what is known of the caller comes in X-headers of the INVITE.",
            "https://livekit.io/field-guides/guide/five9-sip-bye-headers-transfer",
        ),
        Fact(
            Aspect.USELESS,
            "REFER.",
            "https://livekit.io/field-guides/guide/five9-sip-bye-headers-transfer",
        ),
    ),
)
