"""Dialpad: we are a SIP telephone of a user."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

DIALPAD = Profile(
    name="dialpad",
    title="Dialpad",
    facts=(
        Fact(
            Aspect.AUTH,
            "Digest, with what the portal shows for a manually provisioned SIP phone.",
            "https://docs.synthflow.ai/sip-with-dialpad.md",
        ),
        Fact(
            Aspect.REGISTRATION,
            "Needed: calls come to the telephone's registration.",
            "https://docs.synthflow.ai/sip-with-dialpad.md",
        ),
        Fact(
            Aspect.IDENTITY,
            "A telephone calls as itself: From is the account.",
            "https://docs.synthflow.ai/sip-with-dialpad.md (it is a telephone; that From follows is our reading)",
            {"outbound.from_user": "username"},
        ),
        Fact(
            Aspect.REQUEST_URI,
            "The account that is registered, not the number that was called: give the trunk exactly one number.",
            "RFC 3261 §10",
        ),
    ),
    needs=("username", "password"),
)
