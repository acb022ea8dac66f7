"""Where digits of all kinds meet: each press is told once, however many ways the far end sends it; and the way out."""

import asyncio
from typing import TYPE_CHECKING, Literal, NamedTuple

from sipflow.audio.frame import Frame
from sipflow.audio.tones import dtmf_pcm
from sipflow.calls.board import Board
from sipflow.errors import LocalProtocolError, MediaError
from sipflow.media.player import play
from sipflow.rtp.telephone_event import DIGITS
from sipflow.sip.dtmf_info import RELAY, write_digit
from sipflow.sip.usage.invite import InviteUsage

if TYPE_CHECKING:
    from sipflow.calls.media import LegMedia

Kind = Literal["rfc4733", "info", "inband"]
SAME_PRESS_S = 2.0  # an INFO lost twice comes 1.5 s late (RFC 3261 §17.1.2: T1, then twice that)
DIGIT_MS, GAP_MS = 100, 100
_MOST_REMEMBERED = 32


class _Press(NamedTuple):
    digit: str
    at: float
    kinds: set[str]


class DigitInbox:
    """Tells a new press from another report of one that is known.

    The rule: each report is paired, in order, with the oldest press of the same digit that began within two seconds of
    it and has not been reported in this kind yet. One that finds such a press is the same press, and is dropped; one
    that finds none is a new press. So a far end may send RTP events, INFO and tones all at once, or change from one to
    another in the middle of a call; and the same digit pressed twice is two presses, since both come in one kind.
    """

    __slots__ = ("_presses",)

    def __init__(self) -> None:
        self._presses: list[_Press] = []

    def receive(self, digit: str, kind: Kind, now: float, *, lasted_s: float = 0.0) -> bool:
        """Take a report; say whether it is a new press.

        Args:
            digit: one of `0-9 * # A-D`.
            kind: how it came.
            now: monotonic seconds.
            lasted_s: how long it had been pressed when it was reported; INFO often comes at the end.
        """
        began = now - lasted_s
        self._presses = [press for press in self._presses if now - press.at <= SAME_PRESS_S + lasted_s]
        for press in self._presses:
            if press.digit == digit and kind not in press.kinds and abs(press.at - began) <= SAME_PRESS_S:
                press.kinds.add(kind)
                return False
        self._presses.append(_Press(digit, began, {kind}))
        del self._presses[:-_MOST_REMEMBERED]
        return True


class DigitOutbox:
    """Sends digits the way the trunk wants them: in RTP where that was agreed, in INFO, or as tones.

    Args:
        switchboard: carries out what the dialog wants sent.
        usage: the call's dialog, for INFO.
        media: its audio.
    """

    def __init__(self, switchboard: Board, usage: InviteUsage, media: "LegMedia") -> None:
        self._switchboard = switchboard
        self._usage = usage
        self._media = media
        self._turn = asyncio.Lock()
        self._answer: asyncio.Future[int] | None = None

    async def send(self, digits: str) -> None:
        """Send digits one after the other; returns when the last has been sent.

        Raises:
            LocalProtocolError: not digits, or the trunk wants RTP events alone and the far end takes none.
            MediaError: the far end refuses INFO.

        Cancelling lets the RTP events that are queued be sent; INFO and tones stop.
        """
        strange = [digit for digit in digits if digit.upper() not in DIGITS]
        if strange:
            raise LocalProtocolError(f"{strange[0]!r} is not a digit: 0-9, *, # and A-D can be sent")
        agreed, wanted = self._media.agreed, self._media.dtmf
        async with self._turn:
            if wanted == "info":
                await self._send_info(digits)
            elif wanted == "rfc4733" or (agreed is not None and agreed.telephone_event_send is not None):
                await self._media.session.send_digits(digits, duration_ms=DIGIT_MS, gap_ms=GAP_MS)
            else:
                pcm = dtmf_pcm(digits, on_ms=DIGIT_MS, off_ms=GAP_MS)
                await play(self._media.session, Frame(pcm))

    async def _send_info(self, digits: str) -> None:
        """Send one INFO at a time: they would overtake each other, and the far end refuse what comes late (§12.2.2)."""
        for digit in digits:
            status = await self._info(write_digit(digit, duration_ms=DIGIT_MS), RELAY, ())
            if status >= 300:
                raise MediaError(f"the far end takes no digits in INFO: {status}")
            await asyncio.sleep((DIGIT_MS + GAP_MS) / 1000)

    async def info(self, body: bytes, content_type: str, headers: tuple[tuple[str, str], ...] = ()) -> int:
        """Send an INFO of any kind in its turn, and give the far end's answer."""
        async with self._turn:
            return await self._info(body, content_type, headers)

    async def _info(self, body: bytes, content_type: str, headers: tuple[tuple[str, str], ...]) -> int:
        board = self._switchboard
        self._answer = asyncio.get_running_loop().create_future()
        board.apply(self._usage.info(body, content_type, now=board.now, headers=headers))
        return await self._answer

    def info_answered(self, status: int) -> None:
        """Take the far end's answer to the INFO that is under way."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)
