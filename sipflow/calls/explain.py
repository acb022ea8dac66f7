"""Why a call is answered or refused: every step from where it came from to the answer, without placing one.

The sentences are the ones that a refused call leaves in the log and in its record: `story` makes them for both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from sipflow.calls.audio_steps import AudioSteps
from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.limits import Limits, inbound_status
from sipflow.calls.record import CallRecord
from sipflow.calls.routes import NoRoute, Route
from sipflow.calls.variables import printable
from sipflow.errors import LimitReached, LocalProtocolError, RemoteProtocolError
from sipflow.net.literal import family_of
from sipflow.sip.addressing import DEFAULT_PORTS, split_host_port
from sipflow.sip.admission import Refusal, refuse
from sipflow.sip.digest import DigestServer
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.parser import Malformed, parse_datagram
from sipflow.sip.session_timer import is_too_small
from sipflow.sip.uri import escape_user
from sipflow.sip.validate import check_request
from sipflow.trunks.trunk import Trunk

_MARK = bytes(16)  # of nonces that are never given out


class Part(StrEnum):
    """What a step is about."""

    MESSAGE = "message"
    TRUNK = "trunk"
    ADMISSION = "admission"
    NUMBER = "number"
    AGENT = "agent"
    LIMITS = "limits"
    AUDIO = "audio"
    ROUTE = "route"
    ATTEMPT = "attempt"
    ANSWER = "answer"


class Step(NamedTuple):
    """One sentence.

    Attributes:
        part: what it is about.
        text: the sentence.
        good: False where the call fails of it, or may.
    """

    part: Part
    text: str
    good: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be answered, or was, and every step to it.

    Attributes:
        status: SIP status of the final answer; 0 where a stranger gets none at all.
        why: the sentence that decided.
        steps: in order; the last one is the answer.
        trunk, number, agent, codec: what it led to, "" where it did not come so far.
    """

    status: int
    why: str
    steps: tuple[Step, ...]
    trunk: str = ""
    number: str = ""
    agent: str = ""
    codec: str = ""

    @property
    def answered(self) -> bool:
        """Whether the call would be answered, or was."""
        return 200 <= self.status < 300


class Knows(Protocol):
    """Whoever has the agents."""

    def knows(self, agent: str) -> bool:
        """Whether there is an agent of this name that can be started."""


def hop_of(text: str) -> Hop:
    """Read where a call comes from, as `198.51.100.7`, `[2001:db8::7]:5060` or `tls:198.51.100.7:5061`.

    Raises:
        LocalProtocolError: it is no IP address.
    """
    transport, colon, rest = text.strip().partition(":")
    if not colon or transport.lower() not in DEFAULT_PORTS:
        transport, rest = "udp", text.strip()
    host, port = split_host_port(rest)
    if not family_of(host):
        raise LocalProtocolError(f"{text[:80]!r} is no address that a call can come from: write 198.51.100.7")
    return Hop(transport.lower(), host, port or DEFAULT_PORTS[transport.lower()])


def story(keeper: Doorkeeper, request: Request, hop: Hop, why: str = "") -> tuple[str, ...]:
    """Say how a call was refused: what its trunk and number were looked for by, and what came of it.

    Args:
        keeper: who refused it, or let it in.
        request: the INVITE.
        hop: where it came from.
        why: the sentence that decided; the last one, unless it stands among the others.
    """
    steps = [*_trunk_steps(keeper, request, hop), *_number_steps(keeper, request, hop)]
    why, said = printable(why), dict.fromkeys([step.text for step in steps])
    return tuple(said) if why in said or not why else (*said, why)


def explain_record(record: CallRecord) -> Explanation:
    """Say of a call that was how it came to its end."""
    steps = [Step(Part.ROUTE, printable(why)) for why in record.why]
    for attempt in record.attempts:
        where = f" at {attempt.target}" if attempt.target else ""
        text = f"trunk {attempt.trunk}{where}: {attempt.status or 'under way'} {printable(attempt.why)}".rstrip()
        steps.append(Step(Part.ATTEMPT, text, attempt.status < 300))
    if record.codec:
        steps.append(Step(Part.AUDIO, f"{record.codec} was agreed"))
    answered, ending = record.answered_at is not None, record.ending
    if ending is None:
        status, why = (200, "it is up") if answered else (100, "it is not answered yet")
    elif answered:
        status, why = 200, f"it was answered, and ended by {ending.by}: {printable(ending.why)} ({ending.word})"
    else:
        status, why = ending.status, printable(ending.why)
    steps.append(Step(Part.ANSWER, f"{status}: {why}", answered))
    return Explanation(status, why, tuple(steps), record.trunk, record.number, record.agent, record.codec)


class Explainer:
    """Goes the way of a call, and leaves no trace.

    Args:
        keeper: who lets calls in.
        agents: who runs agents.
        audio: says what would be agreed.
        limits: how many calls there may be; None where nobody counts any.
        closed: why no call at all gets in now, "" when calls do.
        remarks: what else is to be said of an agent, a sentence each.
        steers: whether somebody else is asked before an agent gets a call, and may give it to another agent.
    """

    def __init__(
        self,
        keeper: Doorkeeper,
        *,
        agents: Knows,
        audio: AudioSteps,
        limits: Limits | None = None,
        closed: Callable[[], str] = str,
        remarks: Callable[[str], tuple[str, ...]] = lambda _agent: (),
        steers: Callable[[str], bool] = lambda _agent: False,
    ) -> None:
        self._keeper = keeper
        self._agents = agents
        self._audio = audio
        self._limits = limits
        self._closed = closed
        self._remarks = remarks
        self._steers = steers

    def explain_text(self, text: bytes, hop: Hop | None = None) -> Explanation:
        """Explain an INVITE as it stands in a file or in a trace; line ends may be of any kind.

        Args:
            text: start line, headers, empty line, SDP.
            hop: where it comes from; None for where its topmost Via says.
        """
        parsed = parse_datagram(_with_line_ends(text))
        if isinstance(parsed, Malformed):
            return _refused([], Part.MESSAGE, parsed.error.status, f"it cannot be read: {parsed.error}")
        if isinstance(parsed, Response) or not isinstance(parsed, Request):
            return _refused([], Part.MESSAGE, 400, "it is no INVITE, and not even a request")
        if parsed.method != "INVITE":
            return _refused([], Part.MESSAGE, 405, f"it is no INVITE, but {printable(parsed.method)}")
        return self.explain(parsed, hop or _source_of(parsed))

    def explain_number(self, to: str, hop: Hop, *, caller: str = "anonymous") -> Explanation:
        """Explain a plain call, with the audio that everybody has.

        Args:
            to: the number as the far end writes it, or a whole `sip:` URI.
            hop: where it comes from.
            caller: user part of From.
        """
        return self.explain_text(plain_invite(to, hop, caller), hop)

    def explain(self, request: Request, hop: Hop) -> Explanation:
        """Explain an INVITE that comes from `hop`."""
        steps: list[Step] = []
        try:
            check_request(request)
        except RemoteProtocolError as error:
            return _refused(steps, Part.MESSAGE, error.status, str(error))
        keeper = self._keeper
        match = keeper.match(request, hop)
        steps += _trunk_steps(keeper, request, hop)
        verdict = keeper.judge(request, hop, match)
        if verdict is not None or match.trunk is None:
            status, why = (verdict.status, verdict.why) if isinstance(verdict, Refusal) else (0, _SILENCE)
            return _refused(steps, Part.ADMISSION, status, why)
        steps += _admission_steps(match.trunk, request)
        refusal = refuse(request)
        if refusal is not None:
            return _refused(steps, Part.MESSAGE, refusal.status, refusal.why, trunk=match.trunk.name)
        steps += _number_steps(keeper, request, hop)
        route = keeper.router.route(request, match)
        if isinstance(route, NoRoute):
            return _refused(steps, Part.NUMBER, route.status, route.why, trunk=route.trunk)
        return self._to_the_agent(request, hop, route, steps)

    def _to_the_agent(self, request: Request, hop: Hop, route: Route, steps: list[Step]) -> Explanation:
        trunk, number, agent = route.trunk, route.number.number, route.agent
        led = {"trunk": trunk.name, "number": number, "agent": agent}
        if not self._agents.knows(agent):
            return _refused(steps, Part.AGENT, 503, f"agent {agent} cannot be run: the log says why", **led)
        steps += [Step(Part.AGENT, text) for text in (route.why[-1], *self._remarks(agent))]
        if "X-EI" in request.headers:
            text = "its X-EI header may refer to an announced call: whoever announced it decides which agent takes it"
            steps.append(Step(Part.AGENT, text))
        if trunk.session.on and is_too_small(request, trunk.session):
            why = f"the session would have to be refreshed more often than every {trunk.session.min_s} s"
            return _refused(steps, Part.ADMISSION, 422, why, **led)
        if full := self._closed():
            return _refused(steps, Part.LIMITS, 503, full, **led)
        room = self._room(trunk.name, number, agent)
        if isinstance(room, LimitReached):
            return _refused(steps, Part.LIMITS, inbound_status(room), str(room), **led)
        steps.append(room)
        try:
            found = self._audio.of(request, hop, trunk)
        except RemoteProtocolError as error:
            return _refused(steps, Part.AUDIO, error.status, str(error), **led)
        steps += [Step(Part.AUDIO, text, good) for text, good in found.said]
        decides = "its webhook or its code decides" if self._steers(agent) else "its code decides"
        why = f"agent {agent} gets the call, and answers it unless {decides} otherwise"
        steps.append(Step(Part.ANSWER, f"200: {why}"))
        return Explanation(200, why, tuple(steps), trunk.name, number, agent, found.codec)

    def _room(self, trunk: str, number: str, agent: str) -> Step | LimitReached:
        """Say that there is room for a call, or why there is none."""
        limits = self._limits
        if limits is None:
            return Step(Part.LIMITS, "nobody was asked how many calls are up")
        reached = limits.inbound_refusal(trunk, number, agent)
        if reached is None:
            return Step(Part.LIMITS, "there is room for it")
        if not self._steers(agent) or not limits.is_of_agent(reached, agent):
            return reached
        elsewhere = limits.inbound_refusal(trunk, number, "")
        if elsewhere is not None:
            return elsewhere
        status = inbound_status(reached)
        text = f"{reached}: refused with {status} unless its inbound-call webhook gives the call to another agent"
        return Step(Part.LIMITS, text, good=False)


_SILENCE = "it belongs to no trunk, and strangers are told nothing (sip.unknown_source: silent)"


def _refused(
    steps: list[Step], part: Part, status: int, why: str, *, trunk: str = "", number: str = "", agent: str = ""
) -> Explanation:
    why = printable(why)
    if why not in [step.text for step in steps]:
        steps.append(Step(part, why, good=False))
    steps.append(Step(Part.ANSWER, f"{status}: {why}" if status else "nothing is answered", good=False))
    return Explanation(status, why, tuple(steps), trunk, number, agent)


def _trunk_steps(keeper: Doorkeeper, request: Request, hop: Hop) -> list[Step]:
    match = keeper.match(request, hop)
    found = match.trunk is not None
    steps = [Step(Part.TRUNK, printable(why), found) for why in match.why]
    return steps + [Step(Part.TRUNK, printable(why)) for why in keeper.router.trunks.others(match, hop)]


def _admission_steps(trunk: Trunk, request: Request) -> list[Step]:
    auth = trunk.inbound_auth
    if auth is None:
        return [Step(Part.ADMISSION, f"trunk {trunk.name} asks its callers for no password")]
    asked = f"trunk {trunk.name} asks its callers for a password: it is challenged with 401 first"
    if "Authorization" not in request.headers:
        return [Step(Part.ADMISSION, f"{asked}, and must answer as {auth.username}")]
    server = DigestServer(realm=auth.realm, secret=_MARK, algorithms=auth.algorithms)
    verdict = server.verify(request, {auth.username: auth.password}, now=0.0)
    if verdict.ok or "nonce" in verdict.reason:  # right, but for a nonce that nobody can judge here
        return [Step(Part.ADMISSION, f"{asked}; its proof is that of {auth.username}")]
    return [Step(Part.ADMISSION, f"{asked}; its proof is not good: {printable(verdict.reason)}", good=False)]


def _number_steps(keeper: Doorkeeper, request: Request, hop: Hop) -> list[Step]:
    trunk, router = keeper.match(request, hop).trunk, keeper.router
    if trunk is None:
        return []
    steps: list[Step] = []
    read: set[str] = set()
    for place, dialled, found in router.readings(request, trunk):
        good = found.number is not None
        if dialled in read:
            continue
        read.add(dialled)
        steps.append(Step(Part.NUMBER, printable(f"{place} says {dialled}: it {found}"), good))
        if good:
            return steps
    number = router.number_of_account(request, trunk)
    if number is not None:
        text = f"it is for the account itself, and trunk {trunk.name} has one number only: {number.number}"
        return [*steps, Step(Part.NUMBER, text)]
    if steps and trunk.region is None:
        text = f"trunk {trunk.name} says no region: national numbers are not read (trunks.{trunk.name}.region)"
        steps.append(Step(Part.NUMBER, text, good=False))
    return steps


def plain_invite(to: str, hop: Hop, caller: str) -> bytes:
    """Write an INVITE as any telephone sends it: to this number, from this address, with G.711 and digits."""
    number = _sendable(to)
    uri = number if number.lower().startswith(("sip:", "sips:", "tel:")) else f"sip:{escape_user(number)}@sipflow"
    host = f"[{hop.host}]" if ":" in hop.host else hop.host
    version = 6 if ":" in hop.host else 4
    sdp = (
        f"v=0\r\no=- 1 1 IN IP{version} {hop.host}\r\ns=-\r\nc=IN IP{version} {hop.host}\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    )
    head = (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/{hop.transport.upper()} {host}:{hop.port};branch=z9hG4bKexplain\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{escape_user(_sendable(caller))}@{host}>;tag=explain\r\nTo: <{uri}>\r\n"
        f"Call-ID: explain\r\nCSeq: 1 INVITE\r\nContact: <sip:{host}:{hop.port}>\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n"
    )
    return (head + sdp).encode()


def _sendable(text: str) -> str:
    """Cut out of what a person wrote, or a program sent, what no telephone can send."""
    return text.strip().translate(_NO_LINE_ENDS).encode("utf-8", "replace").decode()


def _source_of(request: Request) -> Hop:
    """Say where a request came from, by its topmost Via (RFC 3261 §18.2.1); this machine where that has a name."""
    try:
        via = request.via
    except RemoteProtocolError:
        return hop_of("127.0.0.1")
    host, transport = via.received or via.host.strip("[]"), via.transport.lower()
    known = transport if transport in DEFAULT_PORTS else "udp"
    port = via.rport or via.port or DEFAULT_PORTS[known]
    return Hop(known, host if family_of(host) else "127.0.0.1", port)


_NO_LINE_ENDS = {ord(character): None for character in "\r\n\0"}


def _with_line_ends(text: bytes) -> bytes:
    """Give a message of a text file the line ends of SIP, and the Content-Length that its body then has."""
    plain = text.lstrip().replace(b"\r\n", b"\n")
    head, _, body = plain.partition(b"\n\n")
    body = body.replace(b"\n", b"\r\n")
    lines = [line for line in head.split(b"\n") if not line.lower().startswith((b"content-length", b"l:"))]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
