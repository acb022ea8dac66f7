"""How the console lets people in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """How long people are let in, and how often they may be wrong.

    Attributes:
        session_s: after this time somebody signs in again.
        most_sessions: more than this at once push the oldest one out.
        most_wrong: wrong tokens from one address within `wrong_within_s`; then it waits.
        wrong_within_s: how long a wrong token counts.
        body_s: within this time a sign-in must have come.
    """

    session_s: float = 12 * 3600.0
    most_sessions: int = 200
    most_wrong: int = 5
    wrong_within_s: float = 60.0
    body_s: float = 15.0
