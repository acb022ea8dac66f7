"""The audio that a leg is fitted out with: codecs, packet time, digits, encryption and address, by its trunk."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from sipflow.calls.encryption import encrypted
from sipflow.calls.media import LegMedia
from sipflow.media.desk import MediaDesk
from sipflow.sdp.agreement import Capabilities
from sipflow.sdp.codecs import codecs_named
from sipflow.sip.addressing import split_host_port
from sipflow.sip.hop import Hop
from sipflow.trunks.trunk import Trunk

_HEARD_AS_TONES = ("auto", "inband")  # as trunks say it in `dtmf`


@dataclass(slots=True)
class Ears:
    """Who is told what happens in the audio.

    Attributes:
        on_digit, on_tone: told each digit that comes as an event, or as tones.
        on_silent: told for how long nothing has come, once that is too long.
        on_failed: told why the audio is lost for good.
    """

    on_digit: Callable[[str], None]
    on_tone: Callable[[str], None]
    on_silent: Callable[[float], None]
    on_failed: Callable[[str], None]


def fitted(
    desk: MediaDesk, hop: Hop, trunk: Trunk | None, *, codecs: tuple[str, ...], session_id: int, ears: Ears
) -> LegMedia:
    """Take a port pair for a leg.

    Raises:
        PortsExhausted: none is free.
    """
    override = split_host_port(trunk.advertise)[0] if trunk is not None and trunk.advertise else ""
    dtmf = trunk.dtmf if trunk is not None else "auto"
    return LegMedia(
        desk,
        address=override or desk.settings.advertise or hop.local_host,
        capabilities=encrypted(capabilities_of(trunk, codecs, desk.settings.ptime_ms), trunk, hop),
        session_id=session_id,
        on_digit=ears.on_digit,
        on_tone=ears.on_tone if dtmf in _HEARD_AS_TONES else None,
        on_silent=ears.on_silent,
        on_failed=ears.on_failed,
        dtmf=dtmf,
        prack=trunk.prack if trunk is not None else True,
    )


def capabilities_of(trunk: Trunk | None, codecs: tuple[str, ...], ptime_ms: int) -> Capabilities:
    """Say what a leg can do, encryption aside.

    Args:
        trunk: whose packet time and digits count, if any.
        codecs: in order of preference; empty for what everybody has.
        ptime_ms: packet time where the trunk says none.
    """
    if trunk is None:
        return _capabilities(codecs, ptime_ms, True)
    return _capabilities(codecs, trunk.ptime_ms or ptime_ms, trunk.dtmf != "inband")


@lru_cache(maxsize=64)  # a configuration has a handful
def _capabilities(names: tuple[str, ...], ptime_ms: int, events: bool) -> Capabilities:
    if names:  # an order that somebody has chosen: ours to keep in answers too (RFC 3264 §6.1)
        capabilities = Capabilities(codecs=codecs_named(names), ptime_ms=ptime_ms, own_order=True)
    else:
        capabilities = Capabilities(ptime_ms=ptime_ms)
    return capabilities if events else replace(capabilities, telephone_event_payload_type=None)
