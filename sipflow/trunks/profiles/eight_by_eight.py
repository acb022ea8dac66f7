"""8x8 XCaaS and 8x8 Contact Center."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

EIGHT_BY_EIGHT = Profile(
    name="8x8",
    title="8x8 XCaaS and Contact Center",
    facts=(
        Fact(
            Aspect.AUTH,
            "By address, or digest where the trunk there says so.",
            "https://docs.synthflow.ai/sip-with-8x8",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None: it is a provider that goes by address.",
            "https://docs.synthflow.ai/api-reference/platform-api/phone-numbers/create-custom-number.md",
            {"register": False},
        ),
        Fact(
            Aspect.TRANSPORT,
            "UDP, TCP or TLS, to the port that the trunk there names.",
            "https://docs.synthflow.ai/sip-with-8x8",
        ),
        Fact(
            Aspect.REFER,
            "A transfer goes to the DID of a queue through the trunk. Contact Center goes on in its script when the "
            "call ends.",
            "https://docs.synthflow.ai/sip-with-8x8",
        ),
        Fact(
            Aspect.NUMBERS,
            "E.164 on XCaaS trunks. Contact Center calls an identifier of twelve digits.",
            "https://docs.synthflow.ai/api-reference/platform-api/phone-numbers/create-custom-number.md",
        ),
        Fact(
            Aspect.REQUEST_URI,
            "The DID, or the twelve digits.",
            "https://docs.synthflow.ai/sip-with-8x8",
        ),
    ),
)
