"""What a call to an echo finds: audio both ways, digits, hold, session timers, and whether our ACK arrives."""

from dataclasses import dataclass, field

from sipflow.media.statistics import MediaStatistics
from sipflow.trunks.findings import Finding, Judgement

_SENT_DBFS = -12.0
_FAINT_DB = 15.0  # weaker than it was sent by more than this
_NOTHING_DBFS = -50.0  # a tone so faint is none
_LOSS_PERCENT, _JITTER_MS = 1.0, 30.0


@dataclass(slots=True)
class EchoCall:
    """What happened in a call to an echo.

    Attributes:
        number: that was dialled.
        status, why: of its end where it was not answered.
        setup_ms: from INVITE to answer, None where there was none.
        tone_dbfs: level of our tone in what came back; None where nothing came.
        media: counters of its audio.
        digits: how digits went out, "" where they were not sent; `digits_failed` says why not.
        held: packets heard while it was on hold; None where it was not held. `hold_failed` says why not.
        after_hold: packets heard after it was taken back.
        session: Session-Expires of the answer, "" for none.
        answers: copies of the 200 that came; 0 where nobody counted.
        goodbye: whether our BYE was answered.
    """

    number: str
    status: int = 0
    why: str = ""
    setup_ms: float | None = None
    tone_dbfs: float | None = None
    media: MediaStatistics = field(default_factory=MediaStatistics)
    digits: str = ""
    digits_failed: str = ""
    held: int | None = None
    hold_failed: str = ""
    after_hold: int = 0
    session: str = ""
    answers: int = 0
    goodbye: bool = True


def judge_echo(call: EchoCall) -> list[Finding]:
    """Judge a call to an echo, step by step."""
    if call.setup_ms is None:
        return [
            Finding("dial", Judgement.FAILED, f"{call.number}: {call.status} {call.why}", _why_refused(call.status))
        ]
    found = [Finding("dial", Judgement.OK, f"{call.number} answered", "", call.setup_ms)]
    found += _acknowledged(call)
    found += [_audio(call), *_quality(call.media)]
    if call.digits_failed:
        advice = "choose another way for digits: trunks.<name>.dtmf"
        found.append(Finding("dtmf", Judgement.FAILED, call.digits_failed, advice))
    elif call.digits:
        found.append(Finding("dtmf", Judgement.OK, f"a digit was sent {call.digits}"))
    found += _hold(call)
    if call.session:
        found.append(Finding("timers", Judgement.OK, f"the session is refreshed: {call.session}"))
    else:
        found.append(Finding("timers", Judgement.OK, "the far end wants no session timers"))
    if not call.goodbye:
        advice = "requests inside a call do not arrive: see the Contact and Record-Route of the far end's 200"
        found.append(Finding("hangup", Judgement.WARNING, "our BYE was not answered", advice))
    else:
        found.append(Finding("hangup", Judgement.OK, "our BYE was answered"))
    return found


def _why_refused(status: int) -> str:
    if status in (401, 407):
        return "check username, auth_username and password"
    if status == 403:
        return "the provider does not let this account call, or wants another caller: trunks.<name>.outbound.from_user"
    if status in (404, 484, 604):
        return "no such number there, or it is to be written in another way: trunks.<name>.outbound.number_format"
    if status in (408, 480):
        return "nobody answered: is there an echo at that number?"
    if status in (488, 606):
        return "no codec or encryption in common: trunks.<name>.codecs and srtp"
    return "the far end's log says more"


def _acknowledged(call: EchoCall) -> list[Finding]:
    if call.answers > 1:
        text = f"its answer came {call.answers} times: our ACK does not arrive, or arrives late"
        advice = "calls will end after 32 s: see the Contact and Record-Route of its 200, and our sip.advertise"
        return [Finding("ack", Judgement.WARNING, text, advice)]
    return [Finding("ack", Judgement.OK, "our ACK arrives: the answer came once")] if call.answers else []


def _audio(call: EchoCall) -> Finding:
    media, level = call.media, call.tone_dbfs
    if not media.packets_received:
        advice = (
            "its audio does not reach us: open media.ports (UDP) to this machine, and set media.advertise to the "
            "address that the far end can reach"
        )
        return Finding("audio", Judgement.FAILED, "nothing is heard of the far end", advice)
    if level is None or level < _NOTHING_DBFS:
        text = f"one way only: {media.packets_received} packets came, and our tone is not in them"
        advice = "our audio does not reach the far end (UDP out to any port is needed), or the number is no echo"
        return Finding("audio", Judgement.FAILED, text, advice)
    if level < _SENT_DBFS - _FAINT_DB:
        text = f"our tone came back at {level:.0f} dBFS, sent at {_SENT_DBFS:.0f}"
        return Finding("audio", Judgement.WARNING, text, "it is much weaker: packets are lost, or a gateway damps it")
    return Finding(
        "audio", Judgement.OK, f"both ways: our tone came back at {level:.0f} dBFS, sent at {_SENT_DBFS:.0f}"
    )


def _quality(media: MediaStatistics) -> list[Finding]:
    expected = media.packets_received + media.lost
    if not expected:
        return []
    percent = 100 * media.lost / expected
    mos = f", MOS {media.opinion:.1f}" if media.opinion is not None else ""
    text = f"{media.codec}, loss {percent:.1f} %, jitter {media.jitter_ms:.1f} ms{mos}"
    if percent > _LOSS_PERCENT or media.jitter_ms > _JITTER_MS:
        return [
            Finding("quality", Judgement.WARNING, text, "the way there is overloaded: wireless, VPN or a full line?")
        ]
    return [Finding("quality", Judgement.OK, text)]


def _hold(call: EchoCall) -> list[Finding]:
    if call.hold_failed:
        advice = "agents cannot put callers on hold there; transfers by REFER still work where they are taken"
        return [Finding("hold", Judgement.WARNING, call.hold_failed, advice)]
    if call.held is None:
        return []
    if not call.after_hold:
        advice = "do not use hold there, and tell the provider: audio must come back after the second re-INVITE"
        return [Finding("hold", Judgement.FAILED, "after hold nothing was heard any more", advice)]
    text = "hold and taking back work"
    return [Finding("hold", Judgement.OK, text if not call.held else f"{text}; it went on sending meanwhile")]
