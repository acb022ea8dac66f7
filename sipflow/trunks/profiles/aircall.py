"""Aircall: a contact centre that forwards calls from its Smartflows to a SIP destination."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

AIRCALL = Profile(
    name="aircall",
    title="Aircall",
    facts=(
        Fact(
            Aspect.AUTH,
            "By address: our addresses stand in its allow list. Some plans want a username and password instead.",
            "https://docs.synthflow.ai/aircall",
        ),
        Fact(
            Aspect.TRANSPORT,
            "UDP, TCP or TLS, to the port that the SIP destination in its dashboard names.",
            "https://docs.synthflow.ai/aircall",
        ),
        Fact(
            Aspect.REFER,
            "Not supported within a call. A transfer is a new call to the SIP destination of the queue.",
            "https://docs.synthflow.ai/sip-with-aircall",
            {"refer.send": "never"},
        ),
        Fact(
            Aspect.NUMBERS,
            "The number at our side is the DID at theirs, in E.164.",
            "https://docs.synthflow.ai/sip-with-aircall",
            {"outbound.number_format": "e164"},
        ),
        Fact(
            Aspect.REQUEST_URI,
            "The DID that was called stands in the Request-URI.",
            "https://docs.synthflow.ai/sip-with-aircall",
        ),
        Fact(
            Aspect.USELESS,
            "REFER.",
            "https://docs.synthflow.ai/sip-with-aircall",
        ),
    ),
)
