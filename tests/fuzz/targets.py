"""Every reader of something foreign by its name, and what it is known to be sent."""

from pathlib import Path

from tests.fuzz import edge_targets, media_targets, sip_targets
from tests.fuzz.target import Target

CORPUS = Path(__file__).parent / "corpus"
TORTURE = Path(__file__).parent.parent / "torture" / "data"
_SPEAK_SIP = ("datagram", "user_agent")

TARGETS: dict[str, Target] = {**sip_targets.TARGETS, **media_targets.TARGETS, **edge_targets.TARGETS}


def seeds(name: str) -> list[Path]:
    """The files with which the fuzzing of a target begins."""
    found = sorted((CORPUS / name).glob("*"))
    return [*found, *sorted(TORTURE.glob("*.dat"))] if name in _SPEAK_SIP else found
