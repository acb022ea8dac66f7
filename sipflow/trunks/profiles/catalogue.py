"""Every profile by the name that the configuration gives it."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from sipflow.errors import LocalProtocolError
from sipflow.trunks.profiles.aircall import AIRCALL
from sipflow.trunks.profiles.asterisk import ASTERISK
from sipflow.trunks.profiles.dialpad import DIALPAD
from sipflow.trunks.profiles.eight_by_eight import EIGHT_BY_EIGHT
from sipflow.trunks.profiles.five9 import FIVE9
from sipflow.trunks.profiles.freepbx import FREEPBX
from sipflow.trunks.profiles.freeswitch import FREESWITCH
from sipflow.trunks.profiles.generic import GENERIC
from sipflow.trunks.profiles.genesys import GENESYS
from sipflow.trunks.profiles.profile import Profile
from sipflow.trunks.profiles.ringcentral import RINGCENTRAL
from sipflow.trunks.profiles.ringcx import RINGCX
from sipflow.trunks.profiles.telnyx import TELNYX
from sipflow.trunks.profiles.three_cx import THREE_CX
from sipflow.trunks.profiles.twilio import TWILIO
from sipflow.trunks.profiles.vonage import VONAGE
from sipflow.trunks.profiles.zoom import ZOOM

_ALL = (
    GENERIC, AIRCALL, TWILIO, TELNYX, VONAGE, RINGCENTRAL, RINGCX, ZOOM, FIVE9, GENESYS, EIGHT_BY_EIGHT, DIALPAD,
    ASTERISK, FREEPBX, THREE_CX, FREESWITCH,
)  # fmt: skip
PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _ALL})


def find_profile(name: str) -> Profile:
    """Return a profile.

    Args:
        name: as in `trunks.<name>.profile`, in any case; "" is generic.

    Raises:
        LocalProtocolError: there is none of this name. The sentence begins with `profile:`.
    """
    profile = PROFILES.get(name.lower() or GENERIC.name)
    if profile is None:
        near = get_close_matches(name.lower(), PROFILES, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(PROFILES)}"
        raise LocalProtocolError(f"profile: {name[:40]!r} is unknown{meant}")
    return profile
