"""3CX."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

THREE_CX = Profile(
    name="3cx",
    title="3CX",
    facts=(
        Fact(
            Aspect.AUTH,
            'A SIP trunk there is "Do not require - IP Based", or registers with its provider; sipflow is no '
            "registrar, so it is the first. Or sipflow registers as an extension.",
            "https://www.3cx.cn/docs/sip-trunk-registration-authentication/",
        ),
        Fact(
            Aspect.REGISTRATION,
            "Of an extension: with its Authentication ID, which is not the extension number (`auth_username`).",
            "https://www.3cx.cn/docs/sip-trunk-registration-authentication/",
        ),
        Fact(
            Aspect.REFER,
            "Works, to extensions, queues and ring groups.",
            "https://docs.bland.ai/agents/sip-integrations/3cx.md",
        ),
        Fact(
            Aspect.NUMBERS,
            "E.164 is possible and not demanded.",
            "https://www.3cx.cn/docs/supported-sip-trunk-requirements/",
        ),
        Fact(
            Aspect.SESSION,
            'Re-INVITE within a call is an option of the trunk ("Supports Re-Invite"), and mostly off.',
            "https://www.3cx.cn/docs/sip-trunk-options/",
        ),
        Fact(
            Aspect.DTMF,
            "As telephone-events: it is demanded of providers.",
            "https://www.3cx.cn/docs/supported-sip-trunk-requirements/",
        ),
        Fact(
            Aspect.SRTP,
            "With TLS, where the trunk there says so.",
            "https://docs.bland.ai/agents/sip-integrations/3cx.md",
        ),
        Fact(
            Aspect.USELESS,
            "A trunk there that registers with us.",
            "https://www.3cx.cn/docs/supported-sip-trunk-requirements/",
        ),
    ),
)
