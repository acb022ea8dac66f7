"""Who answered, a person or a machine: `await call.answered_by()`, which costs nothing unless it is awaited."""

from typing import TYPE_CHECKING

from sipflow.audio.answering import AnswerDetector, AnsweringSettings, Verdict, Who
from sipflow.audio.single_tone import RATE_HZ
from sipflow.calls.hearing import Hearing
from sipflow.errors import LocalProtocolError

_LONGEST_S = 120.0
_WITHOUT_WORDS = frozenset({Who.BEEP, Who.MACHINE, Who.NOT_IN_SERVICE, Who.FAX})


class Answering(Hearing):
    """The part of a call that tells who answered it; see `Call`."""

    answering_settings: AnsweringSettings = AnsweringSettings()

    if TYPE_CHECKING:

        def note(self, name: str, /, **details: object) -> None: ...

    async def answered_by(
        self,
        *,
        timeout_s: float = 30.0,  # the call's own time, which `asyncio.timeout` does not know
    ) -> Verdict:
        """Listen until it is known who answered: a person, a voicemail box, a phone menu, and so on.

        Await it right after the answer, and say nothing meanwhile: how the far end behaves while we are silent is what
        tells them apart. It hears from now on what the far end says; other readers of the audio hear the same. Hold
        and lost audio count as neither speech nor silence. `answering_settings` tunes it. The call's history gets a
        line.

        Args:
            timeout_s: more than 0 and at most 120 seconds, counted from this call; then the verdict is what can be
                said until there, at the least `unsure`.

        Returns:
            Who it is, and why we think so. It is right as often as docs/answered_by.md says, and no oftener.

        Raises:
            CallEnded: either side hung up while we listened.
            LocalProtocolError: there is no audio yet, for the call has not been answered; or no such time.

        Cancelling stops listening, and leaves the call as it is.
        """
        if not 0 < timeout_s <= _LONGEST_S:
            raise LocalProtocolError(f"timeout_s is {timeout_s}, not more than 0 and at most {_LONGEST_S:g}")
        detector = AnswerDetector(self.answering_settings)
        reader = self.frames(sample_rate_hz=RATE_HZ)
        try:
            with self._lifetime.scope():
                async with self._timeout(timeout_s):
                    async for frame in reader:
                        detector.skip(reader.newly_lost() * frame.duration_ms)
                        if not self.held and detector.hear(frame.pcm) is not None:
                            break
        except TimeoutError:
            pass
        finally:
            reader.close()
        self._lifetime.check()
        verdict = detector.conclude()
        self.note("answered_by", who=verdict.who.value, reasons=list(verdict.reasons), seconds=verdict.at_ms / 1000)
        return verdict


async def who_answered(call: Answering) -> str:
    """Say who answered in the words of a transfer: `call.transfer(..., who=who_answered)`.

    Gives "person", "voicemail" or "phone_menu". A fax, an announcement of the network, and a recording of unknown kind
    count as voicemail, so that nobody is joined with them; silence and doubt count as a person.

    Raises:
        CallEnded: whoever answered hung up meanwhile.
    """
    verdict = await call.answered_by()
    if verdict.who in _WITHOUT_WORDS:
        return Who.VOICEMAIL.value
    return verdict.who.value if verdict.who in (Who.VOICEMAIL, Who.PHONE_MENU) else Who.PERSON.value
