"""How a call sounds to people: the E-model (ITU-T G.107) in its short form, with the figures of G.113 for codecs."""

from typing import NamedTuple

_BEST = 93.2  # ITU-T G.107 §7.1: the rating with all default values
_KNEE_MS = 177.3  # one-way delay from which people begin to talk into each other
_WORST, _TOP = 1.0, 4.5


class Impairment(NamedTuple):
    """What a codec costs (ITU-T G.113).

    Attributes:
        equipment: Ie, without loss.
        robustness: Bpl; the higher, the less a loss is heard.
    """

    equipment: float
    robustness: float


# ITU-T G.113 appendix I gives PCMU and PCMA with concealment 0 and 25.1, without 4.3. For wide-band codecs G.107.1 has
# another scale; on this one they are taken as no worse than G.711, and Opus as hiding a loss better.
_IMPAIRMENTS = {
    "PCMU": Impairment(0.0, 25.1),
    "PCMA": Impairment(0.0, 25.1),
    "L16": Impairment(0.0, 25.1),
    "G722": Impairment(0.0, 25.1),
    "OPUS": Impairment(0.0, 30.0),
}
_UNKNOWN = Impairment(10.0, 15.0)


def rating(codec: str, *, lost: float, one_way_ms: float, concealed: bool = True) -> float:
    """Give the transmission rating factor R, 0 to 93.2.

    Args:
        codec: SDP name, in any case.
        lost: share of packets lost or late, 0 to 1.
        one_way_ms: from mouth to ear.
        concealed: whether losses are concealed.
    """
    equipment, robustness = _IMPAIRMENTS.get(codec.upper(), _UNKNOWN)
    if not concealed:
        robustness = min(robustness, 4.3)
    percent = 100 * min(max(lost, 0.0), 1.0)
    delay_ms = max(one_way_ms, 0.0)
    delay = 0.024 * delay_ms + 0.11 * max(delay_ms - _KNEE_MS, 0.0)
    effective = equipment + (95 - equipment) * percent / (percent + robustness)  # ITU-T G.107 §7.5, random loss
    return min(max(_BEST - delay - effective, 0.0), _BEST)


def mean_opinion(rating_factor: float) -> float:
    """Turn R into a mean opinion score, 1.0 to 4.5 (ITU-T G.107 annex B)."""
    r = min(max(rating_factor, 0.0), 100.0)
    return min(max(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, _WORST), _TOP)


def opinion(codec: str, *, lost: float, one_way_ms: float, concealed: bool = True) -> float:
    """Give the mean opinion score that people would give, 1.0 to 4.5; the arguments are those of `rating`."""
    return mean_opinion(rating(codec, lost=lost, one_way_ms=one_way_ms, concealed=concealed))
