"""sipflow: an AI voice agent on any phone number you already own."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__version__ = "0.1.0"


def full_version() -> str:
    """The version, and whether the modules that every message goes through are compiled (`make fast`)."""
    beside = Path(__file__).with_name("sip") / "grammar"
    compiled = any(beside.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
    return f"{__version__}+compiled" if compiled else __version__
