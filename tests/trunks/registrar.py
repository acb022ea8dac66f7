"""A registrar made of answers, and a clock that jumps: what happens between it and a machine, written down."""

import heapq
from collections.abc import Callable
from itertools import count

from sipflow.sip.hop import Hop
from sipflow.sip.message import Response
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.status import reason_phrase
from sipflow.trunks.fleet import Machine
from sipflow.trunks.outputs import Output, Send, StateChanged
from sipflow.trunks.registration import Registration
from sipflow.trunks.settings import RegisterSettings
from sipflow.trunks.trunk import Trunk

LOCAL = ("192.0.2.1", 5060)
SECRET = b"0123456789abcdef"
TOKEN = "00c0ffee00c0ffee"
VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx"

Answer = Callable[[RequestPlan, float], Outcome]


def pbx(**fields: object) -> Trunk:
    """A trunk that registers; `fields` override."""
    given: dict[str, object] = {
        "name": "pbx",
        "sip_domain": "pbx.example.com",
        "username": "2001",
        "password": "secret",
        "register": RegisterSettings(),
        **fields,
    }
    return Trunk(**given)  # type: ignore[arg-type]


def registration(trunk: Trunk | None = None, *, jitter: float = 1.0) -> Registration:
    """Its Call-ID is `call`, its tag `tag`, its token TOKEN; pauses are full with jitter 1."""
    return Registration(trunk or pbx(), call_id="call", tag="tag", token=TOKEN, jitter=lambda: jitter)


def answered(
    plan: RequestPlan,
    status: int,
    *headers: tuple[str, str],
    host: str = "10.0.0.5",
    realm: str = "",
    challenges: int = 0,
    via: str = VIA,
    transport: str = "udp",
    local: tuple[str, int] | None = LOCAL,
) -> Outcome:
    """The far end's final answer; each answered challenge has cost a CSeq."""
    response = Response(status, reason_phrase(status))
    response.headers.add("Via", via)
    for name, value in headers:
        response.headers.add(name, value)
    hop = Hop(transport, host, 5060)
    return Outcome(
        status, reason_phrase(status), response, hop, realm, plan.cseq + challenges, challenges, local
    )  # fmt: skip


def granted(plan: RequestPlan, expires: int | None = None, *, host: str = "10.0.0.5") -> Outcome:
    """A 200 that lists our Contact as it was sent, after one challenge."""
    seconds = plan.contact_header_params.partition("=")[2] if expires is None else str(expires)
    contact = f"<sip:{plan.contact_user}@192.0.2.1:5060;line={TOKEN}>;expires={seconds}"
    return answered(plan, 200, ("Contact", contact), realm="pbx", challenges=1, host=host)


def silence(plan: RequestPlan) -> Outcome:
    """Nobody answered."""
    return Outcome(
        408, "no answer from udp:10.0.0.5:5060", None, Hop("udp", "10.0.0.5", 5060), "", plan.cseq, 0, LOCAL
    )  # fmt: skip


def always(*headers: tuple[str, str], status: int) -> Answer:
    return lambda plan, now: answered(plan, status, *headers)


def script(*answers: Answer) -> Answer:
    """One answer after the other; the last one for ever."""
    left = list(answers)
    return lambda plan, now: (left.pop(0) if len(left) > 1 else left[0])(plan, now)


def accept(plan: RequestPlan, now: float) -> Outcome:
    return granted(plan)


def quiet(plan: RequestPlan, now: float) -> Outcome:
    return silence(plan)


def refuse(status: int, *headers: tuple[str, str]) -> Answer:
    return always(*headers, status=status)


class Play:
    """Plays one machine against an answerer and writes down what happens.

    Attributes:
        log: (seconds, what): `REGISTER 300 to sip:pbx.example.com` for a request, `registered: ...` for a change.
        plans: every request, whole.
    """

    def __init__(self, machine: Machine, answer: Answer, *, delay_s: float = 0.0) -> None:
        self.machine = machine
        self.answer = answer
        self.delay_s = delay_s
        self.now = 0.0
        self.log: list[tuple[float, str]] = []
        self.plans: list[RequestPlan] = []
        self._answers: list[tuple[float, int, Outcome]] = []
        self._order = count()

    def start(self, *, until: float = 0.0) -> "Play":
        self.do(self.machine.start(now=self.now))
        return self.run(until)

    def do(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._send(output.plan)
            else:
                self.log.append((round(self.now, 3), f"{output.state}: {output.why}"))

    def run(self, until: float) -> "Play":
        """Let time pass."""
        while True:
            deadline = self.machine.deadline
            times = [at for at in (deadline, self._answers[0][0] if self._answers else None) if at is not None]
            if not times or min(times) > until:
                self.now = max(self.now, until)
                return self
            self.now = max(self.now, min(times))
            if self._answers and self._answers[0][0] <= self.now:
                self.do(self.machine.outcome(heapq.heappop(self._answers)[2], now=self.now))
            else:
                self.do(self.machine.handle_timer(now=self.now))

    def times(self, what: str = "REGISTER") -> list[float]:
        """When requests whose entry begins so were sent."""
        return [at for at, entry in self.log if entry.startswith(what)]

    def changes(self) -> list[tuple[float, str]]:
        """The changes alone, by state."""
        return [
            (at, entry.partition(":")[0]) for at, entry in self.log if not entry.startswith(("REGISTER", "OPTIONS"))
        ]

    def _send(self, plan: RequestPlan) -> None:
        self.plans.append(plan)
        expires = plan.contact_header_params.partition("=")[2]
        self.log.append((round(self.now, 3), f"{plan.method}{' ' if expires else ''}{expires} to {plan.destination}"))
        outcome = self.answer(plan, self.now)
        heapq.heappush(self._answers, (self.now + self.delay_s, next(self._order), outcome))


def states(outputs: list[Output]) -> list[str]:
    """The changes among some outputs."""
    return [output.state.value for output in outputs if isinstance(output, StateChanged)]
