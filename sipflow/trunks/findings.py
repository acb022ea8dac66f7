"""What the test of a trunk finds: each step judged, and what to do about it, in words for an operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sipflow.net.literal import is_private
from sipflow.net.records import Answer, Question
from sipflow.sip.addressing import join_host_port
from sipflow.sip.hop import Hop
from sipflow.sip.message import Response
from sipflow.sip.plan import Outcome
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.registration import Registration
from sipflow.trunks.trunk import Trunk

_RENEW_DAYS = 21
_SHOWN = 90  # characters of a stranger's words
_SLOW_MS = 300.0
_NOBODY = (
    "nobody is there, a firewall is between, something else than SIP has that port, or the provider answers "
    "only those it knows: check port and transport, and whether our public address must be listed there"
)
_SILENCES = {  # what the network says of an answer that did not come, and what follows from it
    "is not SIP": "something else than SIP has that port: check port and transport",
    "closed the connection": "it takes connections and closes them unanswered: something else than SIP has that port, "
    "or the provider answers only those it knows",
    "refused": "nothing listens there: check port and transport, and whether the far end runs",
}
_UNSERVED = {  # answers of somebody who is there, and serves nobody now
    408: "a proxy answers, and reaches nobody behind it: ask whoever runs it",
    503: "it is overloaded or being worked on: try again later, and ask the provider if it lasts",
}


class Judgement(StrEnum):
    """How a step went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of a test.

    Attributes:
        step: such as "resolve" or "register".
        judgement: how it went.
        text: what was found, one sentence.
        advice: what to do about it, "" for nothing.
        took_ms: how long it took, None where that means nothing.
        details: more to look at, a line each.
    """

    step: str
    judgement: Judgement
    text: str
    advice: str = ""
    took_ms: float | None = None
    details: tuple[str, ...] = ()


def resolved(uri: str, hops: Sequence[Hop], asked: Mapping[Question, Answer], took_ms: float) -> Finding:
    """Say what a name led to, and by which records of DNS."""
    text = f"{uri} leads to {', '.join(str(hop) for hop in hops[:4])}" + (" and more" if len(hops) > 4 else "")
    return Finding("resolve", Judgement.OK, text, "", took_ms, records_of(asked))


def unresolved(why: str, asked: Mapping[Question, Answer], took_ms: float) -> Finding:
    """Say that a name led nowhere."""
    advice = "check sip_domain, or name the address of the provider's proxy as outbound_proxy"
    return Finding("resolve", Judgement.FAILED, why, advice, took_ms, records_of(asked))


def records_of(asked: Mapping[Question, Answer]) -> tuple[str, ...]:
    """Write down what DNS said, a line for each record, and for each question that brought none."""
    lines = []
    for (kind, name), answer in asked.items():
        naptr = [f"{r.order} {r.preference} {r.service} {r.replacement}" for r in answer.naptr]
        srv = [f"{r.priority} {r.weight} {r.port} {r.target or '.'}" for r in answer.srv]
        found = [*naptr, *srv, *answer.addresses]
        lines += [f"{kind} {name}: {record}" for record in found] or [f"{kind} {name}: {answer.problem or 'none'}"]
    return tuple(lines)


def certificate_of(shown: Mapping[str, Any], version: str, hop: Hop, *, now: datetime, until: datetime) -> Finding:
    """Judge the certificate of a far end that we trust, by when it ends.

    Args:
        shown: as `ssl.SSLObject.getpeercert` gives it.
        version: of TLS, such as "TLSv1.3".
        hop: who showed it.
        now: UTC wall clock.
        until: when it ends.
    """
    names = [value for _, value in shown.get("subjectAltName", ())]
    issuer = _name_in(shown.get("issuer", ()), "organizationName") or _name_in(shown.get("issuer", ()), "commonName")
    left = until - now
    text = f"{version}, certificate for {', '.join(names[:4]) or hop.host} by {issuer or 'nobody'}, good until "
    text += f"{until:%Y-%m-%d}"
    if left.days < _RENEW_DAYS:
        return Finding("tls", Judgement.WARNING, f"{text}: {left.days} days", "have it renewed at the far end")
    return Finding("tls", Judgement.OK, text)


def _name_in(parts: Sequence[Sequence[tuple[str, str]]], kind: str) -> str:
    return next((value for part in parts for name, value in part if name == kind), "")


def asked_options(outcome: Outcome, took_ms: float) -> Finding:
    """Judge the answer to OPTIONS: any at all says that somebody is there."""
    if outcome.response is None:
        why = _plain(outcome.reason) or "no answer"
        return Finding("options", Judgement.FAILED, f"no answer to OPTIONS: {why}", _of_silence(why), took_ms)
    text = f"{outcome.status} {_plain(outcome.reason)} from {outcome.hop}"
    if outcome.status in _UNSERVED:
        return Finding("options", Judgement.FAILED, text, _UNSERVED[outcome.status], took_ms)
    if took_ms > _SLOW_MS:
        advice = "far away, or busy: each step of a call takes that long"
        return Finding("options", Judgement.WARNING, text, advice, took_ms)
    return Finding("options", Judgement.OK, text, "", took_ms)


def _of_silence(why: str) -> str:
    return next((advice for words, advice in _SILENCES.items() if words in why), _NOBODY)


def abilities(response: Response | None) -> list[Finding]:
    """Say what a far end says that it can: transfers, session timers, reliable early media."""
    if response is None:
        return []
    allow, supported = _words(response, "Allow"), _words(response, "Supported")
    if not allow and not supported:
        return [Finding("abilities", Judgement.OK, "it does not say what it can (no Allow, no Supported)")]
    said = f"Allow: {', '.join(allow) or 'nothing'}; Supported: {', '.join(supported) or 'nothing'}"
    found = [Finding("abilities", Judgement.OK, _plain(said, 300))]
    if allow and "REFER" not in allow:
        advice = "transfers are made by joining two calls here (refer.mode: bridge), which keeps both up"
        found.append(Finding("refer", Judgement.WARNING, "it takes no REFER", advice))
    elif allow:
        found.append(Finding("refer", Judgement.OK, "it takes REFER: calls can be handed over"))
    if supported and "TIMER" not in supported:
        text = "it says nothing of session timers (RFC 4028): a call whose far end vanishes is noticed by its silence"
        found.append(Finding("timers", Judgement.OK, text))
    if allow and "UPDATE" not in allow:
        found.append(Finding("update", Judgement.OK, "it takes no UPDATE: sessions are refreshed by re-INVITE"))
    if supported and "100REL" not in supported:
        text = "it acknowledges no early media (no 100rel): announcements before the answer may be lost"
        found.append(Finding("100rel", Judgement.OK, text))
    return found


def registered(machine: Registration, expires_s: float, took_ms: float) -> Finding:
    """Judge the end of a REGISTER, by the machine that sent it."""
    name = f"trunk {machine.name}: "
    if machine.state is RegistrationState.REGISTERED:
        at = f" at {machine.answered_by}" if machine.answered_by is not None else ""
        text = f"registered{at} as {machine.trunk.username} for {expires_s:.0f} s"
        if machine.doubt:
            return Finding("register", Judgement.WARNING, text, machine.doubt, took_ms)
        return Finding("register", Judgement.OK, text, "", took_ms)
    error = (machine.last_error or "no answer").removeprefix(name)
    if error.startswith("REGISTER as "):  # it is not an answer that was given
        return Finding("register", Judgement.FAILED, _plain(error, 200), _of_silence(error), took_ms)
    text, _, advice = error.partition(": ")
    if not advice:
        advice = "ask the provider what this answer means there"
        if text.startswith("5"):
            advice = "the registrar has trouble of its own: try again later, and ask the provider if it lasts"
    return Finding("register", Judgement.FAILED, _plain(text, 200), advice, took_ms)


def unregistered(machine: Registration, took_ms: float) -> Finding:
    """Judge the end of the REGISTER that takes our Contact back."""
    if machine.last_error:
        text = machine.last_error.removeprefix(f"trunk {machine.name}: ")
        advice = "our Contact stays until it runs out; calls may ring here in vain meanwhile"
        return Finding("unregister", Judgement.WARNING, _plain(text, 200), advice, took_ms)
    return Finding("unregister", Judgement.OK, "our Contact was taken back", "", took_ms)


def seen_through_nat(trunk: Trunk, local: tuple[str, int] | None, seen: tuple[str, int] | None) -> Finding:
    """Say at which address the far end saw us, and what that means.

    Args:
        trunk: that is tested.
        local: the address and port in our Contact.
        seen: what the far end says in the Via of its answers (RFC 3581), None where it says nothing.
    """
    if local is None or seen is None:
        return Finding("nat", Judgement.SKIPPED, "the far end does not say at which address it saw us")
    ours, theirs = join_host_port(*local), join_host_port(*seen)
    if seen[0] == local[0]:
        if seen[1] in (local[1], 0):
            return Finding("nat", Judgement.OK, f"the far end saw us at {theirs}, as we say ourselves: no NAT between")
        text = f"the far end saw us at {theirs}, our Contact says {ours}: another port"
        advice = "a NAT changes ports: calls come back only where the provider answers to the port it saw (rport)"
        return Finding("nat", Judgement.WARNING, text, advice)
    text = f"the far end saw us at {theirs}, our Contact says {ours}: there is a NAT between"
    advice = (
        f"set media.advertise and sip.advertise (or trunks.{trunk.name}.advertise) to {seen[0]}, "
        "and let the SIP port and media.ports through to this machine"
    )
    if is_private(seen[0]):
        advice = f"the far end is behind the same NAT or a VPN: set trunks.{trunk.name}.advertise to {seen[0]}"
    return Finding("nat", Judgement.WARNING, text, advice)


def _words(response: Response, name: str) -> list[str]:
    return [word.strip().upper() for line in response.headers.all(name) for word in line.split(",") if word.strip()]


def _plain(text: str, most: int = _SHOWN) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:most])
