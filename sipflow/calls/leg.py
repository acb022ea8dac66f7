"""What the parts of a call share: its life, its media, its rate, and where its tasks are kept."""

import asyncio

from sipflow.calls.alive import Lifetime
from sipflow.calls.media import LegMedia
from sipflow.errors import LocalProtocolError
from sipflow.tasks import Tasks

RATES_HZ = (8000, 16000, 24000, 48000)


class Leg:
    """The ground that hearing and speaking stand on; see `Call` for what agents use.

    Attributes:
        media: the audio stream and what was agreed about it; None where there is none.
    """

    _rate_hz = RATES_HZ[0]
    _rate_used = False

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._lifetime = Lifetime()
        self.media: LegMedia | None = None

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the frames of `audio`, and of plain bytes given to `play` and `write`, in Hz.

        8000 unless set: 8000, 16000, 24000 or 48000, whatever is on the wire; sipflow converts. Set it before the
        first use of audio.

        Raises:
            LocalProtocolError: it is set to another rate, or changed after audio was used.
        """
        return self._rate_hz

    @sample_rate_hz.setter
    def sample_rate_hz(self, rate_hz: int) -> None:
        checked_rate(rate_hz)
        if self._rate_used and rate_hz != self._rate_hz:
            raise LocalProtocolError(
                f"audio is in use at {self._rate_hz} Hz already: set call.sample_rate_hz before it, "
                "or ask for another rate with call.frames(sample_rate_hz=...)"
            )
        self._rate_hz = rate_hz
        if self.media is not None:
            self.media.session.prefer(rate_hz)

    def _rate(self, asked_hz: int | None = None) -> int:
        """Give the rate asked for, or the call's, which is settled by that."""
        if asked_hz is not None:
            return checked_rate(asked_hz)
        self._rate_used = True
        return self._rate_hz

    @property
    def _live_media(self) -> LegMedia:
        self._lifetime.check()
        if self.media is None or self.media.agreed is None:
            raise LocalProtocolError("there is no audio yet: answer the call first")
        return self.media

    def _timeout(self, seconds: float) -> asyncio.Timeout:
        """Bound the awaits of a block, in the time that this call lives in."""
        return asyncio.timeout(seconds)


def checked_rate(rate_hz: int) -> int:
    """Give the rate if agents can have it.

    Raises:
        LocalProtocolError: they cannot.
    """
    if rate_hz not in RATES_HZ:
        known = ", ".join(map(str, RATES_HZ[:-1]))
        raise LocalProtocolError(f"audio at {rate_hz!r} Hz cannot be had: {known} or {RATES_HZ[-1]}")
    return rate_hz
