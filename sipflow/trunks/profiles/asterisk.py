"""Asterisk with chan_pjsip."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

_SAMPLE = "asterisk/asterisk configs/samples/pjsip.conf.sample"

ASTERISK = Profile(
    name="asterisk",
    title="Asterisk with chan_pjsip",
    facts=(
        Fact(
            Aspect.AUTH,
            "A `type=auth` section with username and password; endpoints are found by address, then by the user of "
            "From.",
            _SAMPLE,
        ),
        Fact(
            Aspect.REGISTRATION,
            "To an AOR with `max_contacts`; it grants 60 to 7200 s, and 3600 where nothing is asked.",
            _SAMPLE,
        ),
        Fact(Aspect.TRANSPORT, "UDP where the transport section says nothing else.", _SAMPLE),
        Fact(
            Aspect.HEALTH,
            "It does not ask by itself (`qualify_frequency` 0). We ask, so that a restart of it is noticed.",
            _SAMPLE,
            {"health.interval_s": 30.0},
        ),
        Fact(
            Aspect.REFER,
            "Taken, unless the endpoint says `allow_transfer=no`; the target is dialled in the context of the channel."
            " The caller is in the dialplan from then on, and does not come back when nobody is there.",
            "asterisk/asterisk res/res_pjsip_refer.c",
            {"refer.final": True},
        ),
        Fact(
            Aspect.IDENTITY,
            "P-Asserted-Identity is neither sent (`send_pai`) nor believed (`trust_id_inbound`) until it is told to.",
            _SAMPLE,
        ),
        Fact(Aspect.SESSION, "Agreed to: 1800 s, at least 90 s.", _SAMPLE),
        Fact(
            Aspect.CODECS,
            "None until `allow` names some.",
            _SAMPLE,
        ),
        Fact(Aspect.DTMF, "As telephone-events (`dtmf_mode=rfc4733`).", _SAMPLE),
        Fact(Aspect.SRTP, "Off; `media_encryption=sdes` for keys in SDP.", _SAMPLE),
        Fact(
            Aspect.REQUEST_URI,
            "`Dial(PJSIP/sipflow)` calls the registered contact, which names the account;"
            " `Dial(PJSIP/${EXTEN}@sipflow)` puts the number before the @, and needs an AOR contact without a user.",
            "https://docs.asterisk.org/Configuration/Channel-Drivers/SIP/Configuring-res_pjsip/Dialing-PJSIP-Channels/",
        ),
    ),
)
