"""Whether an edge can take a call just now, check by check, each with its reason."""

from dataclasses import dataclass

from sipflow.api.measures import Measures
from sipflow.trunks.outputs import RegistrationState

_STUCK_S = 0.5  # a loop that is held up for so long time and again loses audio, and calls


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well.

    Attributes:
        name: such as `store`.
        ok: whether it is.
        why: in a sentence.
    """

    name: str
    ok: bool
    why: str


def checks(measures: Measures) -> list[Check]:
    """Look at everything that a call needs."""
    return [
        _sip(measures),
        _ports(measures),
        _limits(measures),
        _trunks(measures),
        _store(measures),
        _loop(measures),
        _load(measures),
    ]


def _sip(measures: Measures) -> Check:
    listening = measures.endpoint.listening
    if measures.switchboard.draining:
        return Check("sip", False, "sipflow is going down and takes no more calls")
    if not listening:
        return Check("sip", False, "no SIP socket is open")
    return Check("sip", True, f"listening on {', '.join(str(address) for address in listening)}")


def _ports(measures: Measures) -> Check:
    counts = measures.media.counts()
    if counts and not any(each.free for each in counts):
        lent = sum(each.lent for each in counts)
        return Check("media", False, f"no RTP port is free: {lent} pairs are in use, the others rest (media.ports)")
    return Check("media", True, f"{counts[0].free} RTP port pairs are free" if counts else "no call has had audio yet")


def _limits(measures: Measures) -> Check:
    most, live = measures.limits.settings.whole.max_calls, measures.limits.live()["calls"]
    if most is not None and live >= most:
        return Check("limits", False, f"{live} calls are up, which is as many as may be (limits.max_calls)")
    return Check("limits", True, f"{live} calls are up" + (f" of {most}" if most is not None else ""))


def _trunks(measures: Measures) -> Check:
    states = measures.registrations()
    there = [each for each in states if each.state is RegistrationState.REGISTERED]
    if not states:
        return Check("trunks", True, "no trunk registers")
    if there:
        return Check("trunks", True, f"{len(there)} of {len(states)} trunks are registered")
    failed = next((each for each in states if each.last_error), None)
    why = f": {failed.trunk}: {failed.last_error.removeprefix(f'trunk {failed.trunk}: ')}" if failed else ""
    only = len(measures.switchboard.doorkeeper.router.trunks) <= len(states)
    return Check("trunks", not only, f"none of {len(states)} trunks that register is registered{why}")


def _store(measures: Measures) -> Check:
    writer = measures.writer
    if writer is None:
        return Check("store", True, "nothing is kept")
    if writer.away:
        return Check("store", False, f"{writer.away}; {writer.waiting} records wait in the journal")
    return Check("store", True, f"{measures.place}; {writer.waiting} records wait")


def _loop(measures: Measures) -> Check:
    worst_ms = 1000 * measures.pulse.worst_lately_s
    sentence = f"at most {worst_ms:.0f} ms late within a minute"
    if measures.pulse.typical_now_s < _STUCK_S:
        return Check("loop", True, sentence)
    return Check("loop", False, f"something holds the event loop up again and again: {sentence}")


def _load(measures: Measures) -> Check:
    brake = measures.endpoint.brake
    if brake is None or not brake.on(now=measures.now()):
        return Check("load", True, "calls are read as they come")
    sentence = f"more calls come in than can be handled: what comes waits for {brake.worst_s:.1f} s (sip.overload)"
    return Check("load", False, sentence)
