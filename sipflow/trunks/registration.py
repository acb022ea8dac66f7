"""One trunk's registration (RFC 3261 §10.2): takes outcomes and time, returns what to send and what has changed."""

from collections.abc import Callable
from enum import Enum, auto

from sipflow.errors import LocalProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.uri import SipUri
from sipflow.trunks.grant import Sought, read_grant, read_seen_as
from sipflow.trunks.outputs import Output, RegistrationState, Send, StateChanged
from sipflow.trunks.pauses import Pauses
from sipflow.trunks.redirect import Redirects
from sipflow.trunks.trunk import TOKEN_PARAM, Trunk
from sipflow.trunks.verdict import Ruling, explain, judge, min_expires_s, retry_after_s

_State = RegistrationState


class _Flight(Enum):
    """What is on the wire."""

    NOTHING = auto()
    REGISTER = auto()
    UNREGISTER = auto()


class Registration:
    """Keeps one trunk registered. At most one REGISTER is under way (RFC 3261 §10.2).

    Attributes:
        trunk: may be replaced by one with the same `registers_as`.
        state: where it stands.
        registered_until: monotonic seconds at which our binding ends; None when there is none.
        retry_at: monotonic seconds of the next REGISTER; None while one is under way or none is wanted.
        last_error: why the last REGISTER failed, one sentence; "" after a success.
        doubt: why calls might not reach us although we are registered; "" when all is well.
        seen_as: host and port at which the registrar saw us, None when it did not say.
        answered_by: who answered last.
    """

    __slots__ = (
        "_aor", "_call_id", "_cseq", "_domain", "_expires_s", "_flight", "_home", "_pauses", "_redirects",
        "_registered_at", "_tag", "_token", "_too_brief", "_wanted", "answered_by", "doubt", "last_error",
        "registered_until", "retry_at", "seen_as", "state", "trunk",
    )  # fmt: skip

    def __init__(self, trunk: Trunk, *, call_id: str, tag: str, token: str, jitter: Callable[[], float]) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            trunk: one that registers.
            call_id: of all its REGISTERs (RFC 3261 §10.2).
            tag: of their From.
            token: what our Contact carries, see `Trunk.registration_token`.
            jitter: returns a number from 0 to 1, each time another one.

        Raises:
            LocalProtocolError: the trunk does not register.
        """
        domain, aor, destination, settings = trunk.domain, trunk.aor, trunk.destination, trunk.register
        if domain is None or aor is None or destination is None or settings is None:
            raise LocalProtocolError(f"trunk {trunk.name} does not register")
        self.trunk = trunk
        self.state = _State.UNREGISTERED
        self.registered_until: float | None = None
        self.retry_at: float | None = None
        self.last_error = ""
        self.doubt = ""
        self.seen_as: tuple[str, int] | None = None
        self.answered_by: Hop | None = None
        self._domain, self._aor, self._home = domain, aor, destination
        self._call_id, self._tag, self._token = call_id, tag, token
        self._pauses = Pauses(settings, jitter)
        self._redirects = Redirects(destination)
        self._expires_s = settings.expires
        self._cseq = 0
        self._registered_at = 0.0
        self._flight = _Flight.NOTHING
        self._wanted = False
        self._too_brief = False

    @property
    def name(self) -> str:
        return self.trunk.name

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`: monotonic seconds, None when nothing is pending."""
        if self.state is not _State.REGISTERED:
            return self.retry_at
        times = [at for at in (self.retry_at, self.registered_until) if at is not None]
        return min(times, default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing is on the wire."""
        return self._flight is _Flight.NOTHING

    # Inputs

    def start(self, *, now: float) -> list[Output]:  # noqa: ARG002  (every input of every machine takes the time)
        """Register, and stay registered until `stop`."""
        if self._wanted:
            return []
        self._wanted = True
        self._pauses.forget()
        if self._flight is not _Flight.NOTHING:
            return []  # what is on the wire ends first, then we register (RFC 3261 §10.2)
        return [self._enter(_State.REGISTERING, f"trunk {self.name}: registering at {self._home}"), self._register()]

    def stop(self, *, now: float) -> list[Output]:
        """Take our Contact back, if the registrar has it; `idle` says when that is over."""
        self._wanted = False
        self.retry_at = None
        if self._flight is _Flight.NOTHING:
            return self._withdraw(now)
        return self._leave()  # what is on the wire ends first

    def kick(self, *, now: float, within_s: float = 0.0) -> list[Output]:
        """Register again soon, whatever was planned: the far end came back, or somebody has mended the password.

        Args:
            now: monotonic seconds.
            within_s: at a moment of chance before so many seconds have passed; 0 for at once.
        """
        if not self._wanted or self._flight is not _Flight.NOTHING:
            return []
        self._pauses.forget()
        at = now + self._pauses.chance(within_s)
        if at <= now:
            return [self._register()]
        self.retry_at = at if self.retry_at is None else min(at, self.retry_at)
        return []

    def lost(self, *, now: float, within_s: float = 0.0) -> list[Output]:
        """Register again: the connection that we were registered over is gone (RFC 5626 §4.5).

        Args:
            now: monotonic seconds.
            within_s: see `kick`; who loses us again and again is asked ever more slowly.
        """
        if not self._wanted or self._flight is not _Flight.NOTHING:
            return []
        pause_s = self._pauses.after_loss(now - self._registered_at)
        if not pause_s:
            return self.kick(now=now, within_s=within_s)
        self.retry_at = now + pause_s if self.retry_at is None else min(now + pause_s, self.retry_at)
        return []

    def suspect(self, *, now: float, within_s: float = 0.0, trusted_s: float = 0.0) -> list[Output]:
        """Register again early: something says that the registrar was away, and it may have forgotten us.

        A trunk whose last REGISTER failed goes on at its own pace.

        Args:
            now: monotonic seconds.
            within_s: see `kick`.
            trusted_s: a registration is above suspicion for so long.
        """
        if self.state is not _State.REGISTERED or self.last_error or now - self._registered_at < trusted_s:
            return []
        return self.kick(now=now, within_s=within_s)

    def moved(self, *, now: float, within_s: float = 0.0) -> list[Output]:
        """Register again: the registrar is reached from another address of ours now, or is within reach again.

        Args:
            now: monotonic seconds.
            within_s: see `lost`: a way that changes again and again is followed ever more slowly. Should what is on the
                wire fail, it is tried again soon.
        """
        if self._flight is not _Flight.NOTHING:
            self._pauses.forget()
            return []
        return self.lost(now=now, within_s=within_s)

    def handle_timer(self, *, now: float) -> list[Output]:
        """Do what is due: note that our binding has ended, send the next REGISTER."""
        outputs: list[Output] = []
        if self.state is _State.REGISTERED and self.registered_until is not None and now >= self.registered_until:
            outputs.append(self._expire())
        if self.retry_at is not None and now >= self.retry_at:
            outputs.append(self._register())
        return outputs

    def outcome(self, outcome: Outcome, *, now: float) -> list[Output]:
        """Handle the end of the REGISTER that is under way; any other outcome is ignored."""
        if self._flight is _Flight.NOTHING or 0 < outcome.cseq < self._cseq:
            return []
        flight, self._flight = self._flight, _Flight.NOTHING
        self._cseq = max(self._cseq, outcome.cseq)
        self._look(outcome)
        if flight is _Flight.UNREGISTER:
            return self._withdrawn(outcome)
        if not self._wanted:
            return self._too_late(outcome, now)
        match judge(outcome.status):
            case Ruling.GRANTED:
                return self._granted(outcome, now)
            case Ruling.MOVED:
                return self._moved(outcome, now)
            case Ruling.TOO_BRIEF:
                return self._ask_longer(outcome, now)
            case Ruling.REJECTED:
                return self._rejected(explain(self.trunk, outcome, self._destination), outcome, now)
            case Ruling.FAILED if self._redirects.go_on():
                return [self._send(self._expires_s)]
            case Ruling.FAILED:
                return self._failed(explain(self.trunk, outcome, self._destination), outcome, now)

    # Outcomes

    def _granted(self, outcome: Outcome, now: float) -> list[Output]:
        recovered, doubted = bool(self.last_error), self.doubt
        self._note_grant(outcome, now)
        self.last_error = ""
        if self.state is _State.REGISTERED and not recovered and self.doubt == doubted:
            return []
        return [self._enter(_State.REGISTERED, self._success(outcome, now), trouble=bool(self.doubt))]

    def _note_grant(self, outcome: Outcome, now: float) -> None:
        sought = Sought(self.trunk.contact_user, self._token, outcome.local, self._expires_s)
        expires_s = self._expires_s
        self.doubt = ""
        if outcome.response is not None:
            expires_s, self.doubt = read_grant(outcome.response, sought)
        self._registered_at = now
        self.registered_until = now + expires_s
        # Who grants more than he was asked for is refreshed as if he had not: only a REGISTER finds out that a
        # registrar has forgotten us, and `register.expires` says how soon that must be.
        self.retry_at = now + self._pauses.until_refresh(min(expires_s, self._expires_s))

    def _success(self, outcome: Outcome, now: float) -> str:
        where = f" at {outcome.hop.host}" if outcome.hop is not None else ""
        lasting = round((self.registered_until or now) - now)
        doubt = f"; but {self.doubt}" if self.doubt else ""
        return f"trunk {self.name}: registered{where} as {self.trunk.username} for {lasting} s{doubt}"

    def _moved(self, outcome: Outcome, now: float) -> list[Output]:
        why = "the redirection has no content"
        if outcome.response is not None:
            why = self._redirects.follow(outcome.status, outcome.response)
        if why:
            return self._failed(f"{explain(self.trunk, outcome, self._destination)}: {why}", outcome, now)
        return [self._send(self._expires_s)]

    def _ask_longer(self, outcome: Outcome, now: float) -> list[Output]:
        """Ask for as long as the registrar wants it (RFC 3261 §10.2.8), once."""
        least_s = min_expires_s(outcome.response)
        if self._too_brief or least_s <= self._expires_s:
            return self._failed(explain(self.trunk, outcome, self._destination), outcome, now)
        self._too_brief = True
        self._expires_s = least_s
        return [self._send(self._expires_s)]

    def _rejected(self, error: str, outcome: Outcome, now: float) -> list[Output]:
        pause_s = self._pauses.after_rejection(bound=self._bound(now), asked_s=retry_after_s(outcome.response))
        return self._fall(_State.REJECTED, error, pause_s, now)

    def _failed(self, error: str, outcome: Outcome, now: float) -> list[Output]:
        pause_s = self._pauses.after_failure(asked_s=retry_after_s(outcome.response))
        return self._fall(_State.FAILED, error, pause_s, now)

    def _fall(self, state: RegistrationState, error: str, pause_s: float, now: float) -> list[Output]:
        """Note a failure: while our binding lasts we stay registered."""
        self._redirects.failed()
        self.retry_at = now + pause_s
        if self._bound(now):
            state = _State.REGISTERED
        else:
            self.registered_until = None
        known = self.last_error == error and self.state is state
        self.last_error = error
        if known:
            return []
        left = "" if self.registered_until is None else f"still registered for {round(self.registered_until - now)} s, "
        return [self._enter(state, f"{error} ({left}next try in {_seconds(pause_s)})", trouble=True)]

    def _expire(self) -> StateChanged:
        self.registered_until = None
        state = _State.REJECTED if self._pauses.rejections else _State.FAILED
        why = self.last_error or f"trunk {self.name}: no answer to the refresh"
        return self._enter(state, f"{why} (the registration has run out)", trouble=True)

    # Taking it back

    def _too_late(self, outcome: Outcome, now: float) -> list[Output]:
        """Handle the end of a REGISTER during which `stop` was called."""
        if judge(outcome.status) is Ruling.GRANTED:
            self._note_grant(outcome, now)
            self.retry_at = None
        return self._withdraw(now)

    def _withdraw(self, now: float) -> list[Output]:
        if not self._bound(now):
            return self._end(f"trunk {self.name}: not registered any more")
        return [*self._leave(), self._send(0)]  # RFC 3261 §10.2.2

    def _leave(self) -> list[Output]:
        if self.state is _State.UNREGISTERING:
            return []
        return [self._enter(_State.UNREGISTERING, f"trunk {self.name}: un-registering")]

    def _withdrawn(self, outcome: Outcome) -> list[Output]:
        self.registered_until = None
        if self._wanted:
            return [self._enter(_State.REGISTERING, f"trunk {self.name}: registering again"), self._register()]
        if judge(outcome.status) is Ruling.GRANTED:
            self.last_error = ""
            return self._end(f"trunk {self.name}: un-registered")
        self.last_error = explain(self.trunk, outcome, self._destination)
        return self._end(f"{self.last_error} (our Contact stays at the registrar until it runs out)", trouble=True)

    def _end(self, why: str, *, trouble: bool = False) -> list[Output]:
        self.registered_until = None
        self.doubt = ""
        if self.state is _State.UNREGISTERED:
            return []
        return [self._enter(_State.UNREGISTERED, why, trouble=trouble)]

    def _bound(self, now: float) -> bool:
        """Whether the registrar has our Contact, as far as we can know."""
        return self.registered_until is not None and now < self.registered_until

    # Sending

    @property
    def _destination(self) -> SipUri:
        return self._redirects.target or self._home

    def _register(self) -> Send:
        """Begin an attempt: at the trunk's destination, or where a 301 has sent us."""
        self._redirects.begin()
        self._too_brief = False
        return self._send(self._expires_s)

    def _send(self, expires_s: int) -> Send:
        self._flight = _Flight.REGISTER if expires_s else _Flight.UNREGISTER
        self.retry_at = None
        self._cseq += 1
        return Send(
            RequestPlan(
                method="REGISTER",
                uri=self._domain,  # RFC 3261 §10.2: no user part; some registrars drop the request without a word
                destination=self._destination,
                from_=NameAddr("", self._aor.uri, (("tag", self._tag),)),
                to=self._aor,
                call_id=self._call_id,
                cseq=self._cseq,
                # Both forms of the expiry: some registrars know only one. Path: RFC 3327 §5.1.
                headers=(("Expires", str(expires_s)), ("Supported", "path")),
                contact_user=self.trunk.contact_user,
                contact_params=((TOKEN_PARAM, self._token),),
                contact_header_params=f";expires={expires_s}",
                accounts=self.trunk.accounts,
                allow_md5=self.trunk.allow_md5,
                advertise=self.trunk.advertise,
                routes=self.trunk.routes if self._redirects.target is None else (),
            )
        )

    def _enter(self, state: RegistrationState, why: str, *, trouble: bool = False) -> StateChanged:
        self.state = state
        return StateChanged(state, why, trouble)

    def _look(self, outcome: Outcome) -> None:
        if outcome.hop is not None and outcome.response is not None:
            self.answered_by = outcome.hop
        if outcome.response is not None:
            self.seen_as = read_seen_as(outcome.response) or self.seen_as


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{round(seconds)} s"
