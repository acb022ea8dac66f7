"""FreePBX: Asterisk behind web pages."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

_DRIVER = "FreePBX/core functions.inc/drivers/PJSip.class.php"

FREEPBX = Profile(
    name="freepbx",
    title="FreePBX",
    facts=(
        Fact(
            Aspect.AUTH,
            "An extension has a secret that is made for it; a trunk has Authentication and Registration of its own.",
            _DRIVER,
        ),
        Fact(
            Aspect.REGISTRATION,
            "60 to 7200 s. An extension takes one contact (`max_contacts` 1): a second registration is refused.",
            _DRIVER,
        ),
        Fact(
            Aspect.HEALTH,
            "It asks its extensions (`qualifyfreq`). We ask as well, so that a restart of it is noticed.",
            _DRIVER,
            {"health.interval_s": 30.0},
        ),
        Fact(
            Aspect.REFER,
            "Taken: the module that does so is among those it loads (res_pjsip_refer). A caller whom it sends away does"
            " not come back.",
            _DRIVER,
            {"refer.final": True},
        ),
        Fact(Aspect.SESSION, "On (`timers=yes`).", _DRIVER),
        Fact(
            Aspect.DTMF,
            "As telephone-events: rfc2833 in its settings becomes rfc4733.",
            _DRIVER,
        ),
        Fact(Aspect.SRTP, 'Off; "SRTP via in-SDP" is the choice it recommends.', _DRIVER),
        Fact(
            Aspect.REQUEST_URI,
            "A call to an extension names the extension: give the trunk one number, or make the extension one of "
            "its numbers.",
            "https://docs.asterisk.org/Configuration/Channel-Drivers/SIP/Configuring-res_pjsip/Dialing-PJSIP-Channels/",
        ),
    ),
)
