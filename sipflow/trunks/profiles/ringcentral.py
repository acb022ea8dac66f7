"""RingCentral RingEX: we are a telephone (an "existing phone") of one extension."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

RINGCENTRAL = Profile(
    name="ringcentral",
    title="RingCentral RingEX",
    facts=(
        Fact(
            Aspect.AUTH,
            "Digest. The device page names SIP domain, user name, password, and an authorization ID, which is "
            "`auth_username`.",
            "https://ringcentral.github.io/ringcentral-softphone-ts/reference/softphone/",
        ),
        Fact(
            Aspect.REGISTRATION,
            "Needed. Of several registrations of one device only the latest gets calls.",
            "ringcentral/ringcentral-softphone-ts README.md",
        ),
        Fact(
            Aspect.TRANSPORT,
            "By the outbound proxy of the region: port 5096 is TLS (say so in `transport`), port 5090 is not.",
            "ringcentral/ringcentral-softphone-ts README.md",
        ),
        Fact(
            Aspect.REFER,
            "Works, blind and attended.",
            "https://docs.synthflow.ai/ringex/llms.txt",
        ),
        Fact(
            Aspect.NUMBERS,
            "With country code; a number that does not exist is answered 486.",
            "https://ringcentral.github.io/ringcentral-softphone-ts/reference/softphone/",
            {"outbound.number_format": "digits"},
        ),
        Fact(
            Aspect.IDENTITY,
            "From is the device's own number: neither another one nor P-Asserted-Identity is heeded.",
            "ringcentral/ringcentral-softphone-ts README.md",
            {"outbound.from_user": "username"},
        ),
        Fact(
            Aspect.CODECS,
            "Opus and PCMU.",
            "https://ringcentral.github.io/ringcentral-softphone-ts/reference/softphone/",
            {"codecs": ("opus", "PCMU")},
        ),
        Fact(
            Aspect.SRTP,
            "Over TLS audio is RTP/SAVP with keys in SDP (`srtp: required`); plain RTP/AVP was refused (488).",
            "ringcentral/ringcentral-softphone-ts tests (RTP/SAVP), and an early README (488)",
        ),
        Fact(
            Aspect.USELESS,
            "A caller id of one's own, and more than five calls of one extension at once.",
            "https://docs.synthflow.ai/ringex/llms.txt",
        ),
    ),
    needs=("username", "password"),
)
