"""RingCX: RingCentral's contact centre hands the calls of a voice queue to an IVA."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

RINGCX = Profile(
    name="ringcx",
    title="RingCX",
    facts=(
        Fact(
            Aspect.AUTH,
            "None: no username and no password.",
            "https://docs.synthflow.ai/sip-with-ringcx.md",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None.",
            "https://docs.synthflow.ai/sip-with-ringcx.md",
            {"register": False, "sip_domain": "sip.ringcentral.com"},
        ),
        Fact(
            Aspect.TRANSPORT,
            "UDP, to the SIP URI of the IVA integration.",
            "https://docs.synthflow.ai/ringcx.md",
        ),
        Fact(
            Aspect.REFER,
            "The workflow goes on when the agent is done; that this means hanging up, and no REFER, is our reading.",
            "https://docs.synthflow.ai/ringcx.md",
            {"refer.send": "never"},
        ),
        Fact(
            Aspect.REQUEST_URI,
            "The workflow's channel number must stand before the @: without it nobody knows which agent is meant.",
            "https://docs.synthflow.ai/ringcx.md",
        ),
    ),
)
