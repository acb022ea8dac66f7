"""`handler: forward`: a call goes straight to a person, or to somebody else where nobody takes it, or by hours."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from weakref import WeakKeyDictionary

from sipflow.agents.second_leg import check_callee, check_caller, check_headers, check_text, dial, names_host, seconds
from sipflow.agents.spec import HandOver
from sipflow.calls.b2bua import Unreached, connect
from sipflow.calls.call import Call
from sipflow.calls.transfer.hours import Hours, read_hours
from sipflow.calls.transfer.targets import PHONE_BOOK
from sipflow.errors import AgentError, LocalProtocolError, NotFound, StoreError
from sipflow.tasks import Tasks

_OPTIONS = frozenset(
    {"to", "trunk", "from", "headers", "ring_timeout_s", "hours", "outside_hours", "most_calls", "fallback"}
)
_HANDLER = "handler forward"
_BUSY, _CLOSED, _NOBODY = 486, 480, 480
_under_way: WeakKeyDictionary[Tasks, Counter[str]] = WeakKeyDictionary()  # by the edge that they run on


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """Who is called, and what happens where nobody takes the call.

    Attributes:
        to: who is called, one after the other: `sip:` addresses, numbers and names of the trunk's, or phone books
            and single entries of theirs (`phonebook:<id>`, `phonebook:<id>/<entry>`), read when a call comes.
        trunk: whose account and ways are used; "" is the trunk that the call came by, for numbers, and none for
            addresses.
        caller: of From, with `{variables}`; "" for the trunk's own number, or as its `outbound.caller_id` says.
        headers: further lines of the INVITE, with `{variables}`.
        ring_timeout_s: how long each may leave the call unanswered.
        hours: when people are called at all; None for always.
        outside_hours: the agent at all other hours, "" for the fallback.
        most_calls: how many may be at these people at once; the next one goes to the fallback. 0 for any number.
        fallback: the agents that go on where nobody takes the call; the second where the first one fails.
    """

    to: tuple[str, ...]
    trunk: str = ""
    caller: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ring_timeout_s: float = 20.0
    hours: Hours | None = None
    outside_hours: str = ""
    most_calls: int = 0
    fallback: tuple[str, ...] = ()


def check(options: Mapping[str, object]) -> None:
    """Refuse options that cannot work.

    Raises:
        AgentError: one cannot.
    """
    read_options(options)


def refers_to(options: Mapping[str, object]) -> tuple[str, ...]:
    """Name the agents that may take over."""
    outside = options.get("outside_hours")
    names = (*_listed("fallback", options.get("fallback", ())), *((str(outside),) if outside else ()))
    return tuple(dict.fromkeys(names))


def read_options(options: Mapping[str, object]) -> ForwardOptions:
    """Check the options and fill in what they leave out.

    Raises:
        AgentError: one cannot work.
    """
    for name in sorted(options.keys() - _OPTIONS):
        raise AgentError(f"{_HANDLER} takes no option {name}: it has {', '.join(sorted(_OPTIONS))}")
    to = _listed("to", options.get("to", ()))
    if not to:
        raise AgentError(
            f"{_HANDLER} needs `to`: who is called, such as sip:desk@pbx.example.com, +12065550199 or phonebook:<id>"
        )
    texts = {name: check_text(_HANDLER, name, options.get(name, "")) for name in ("trunk", "from", "outside_hours")}
    for address in to:
        if not address.startswith(PHONE_BOOK):
            check_callee(_HANDLER, "to", address, has_trunk=True)
    check_caller(_HANDLER, texts["from"])
    most = options.get("most_calls", 0)
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise AgentError(f"{_HANDLER}: most_calls is {most!r}, not a number of calls")
    return ForwardOptions(
        to=to,
        trunk=texts["trunk"],
        caller=texts["from"],
        headers=check_headers(_HANDLER, options.get("headers", {})),
        ring_timeout_s=seconds(_HANDLER, "ring_timeout_s", options.get("ring_timeout_s", 20.0)),
        hours=_hours(options.get("hours")),
        outside_hours=texts["outside_hours"],
        most_calls=most,
        fallback=_listed("fallback", options.get("fallback", ())),
    )


def _listed(name: str, value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str | int) else value
    if not isinstance(values, list | tuple) or any(not isinstance(each, str | int) for each in values):
        raise AgentError(f"{_HANDLER}: {name} must be one, or a list")
    return tuple(check_text(_HANDLER, name, str(each)) for each in values if each != "")


def _hours(value: object) -> Hours | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value.keys() <= {"timezone", "schedule"} or "schedule" not in value:
        raise AgentError(f"{_HANDLER}: hours needs timezone and schedule")
    schedule = value["schedule"]
    if not isinstance(schedule, list | tuple) or any(not isinstance(day, Mapping) for day in schedule):
        raise AgentError(f"{_HANDLER}: hours.schedule must be a list of weekdays with their intervals")
    try:
        return read_hours(str(value.get("timezone", "UTC")), schedule)
    except LocalProtocolError as error:
        raise AgentError(f"{_HANDLER}: hours.{error}") from None


async def forward(call: Call, *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> HandOver | None:
    """Call one after the other, until somebody answers; join them until one hangs up, and hang up on the other.

    The caller hears what the person's side says: ringing, early media. Where nobody takes the call the fallback has it,
    and without one the caller is refused as we were.
    """
    options = read_options(call.options)
    if options.hours is not None and not options.hours.open_at(wall()):
        why = Unreached(_CLOSED, "nobody is there at this hour (hours)")
        return _otherwise(call, options, why, first=options.outside_hours)
    agent = call.record.agent
    with _counted(call.tasks, agent) as under_way:
        if options.most_calls and under_way > options.most_calls:
            why = Unreached(_BUSY, f"{under_way - 1} calls are there already (most_calls)")
            return _otherwise(call, options, why)
        unreached = await _call_each(call, options)
    return None if unreached is None else _otherwise(call, options, unreached)


async def _call_each(call: Call, options: ForwardOptions) -> Unreached | None:
    people, unreached = await _people(call, options)
    for address in people:
        trunk = options.trunk or ("" if names_host(address) else call.record.trunk)
        call.note("forwarding", to=address, trunk=trunk)
        place = partial(dial, call, address, trunk=trunk, caller=options.caller, headers=options.headers)
        unreached = await connect(call, place, ring_s=options.ring_timeout_s, who=address)
        if unreached is None:
            return None
        call.note("not_forwarded", to=address, status=unreached.status, why=unreached.why)
        if call.ending is not None or unreached.lost:
            break
    return unreached


async def _people(call: Call, options: ForwardOptions) -> tuple[list[str], Unreached | None]:
    """Read the phone books among those that are to be called; gives why one of them could not be read, too."""
    people: list[str] = []
    unreached: Unreached | None = None
    for address in options.to:
        if not address.startswith(PHONE_BOOK):
            people.append(address)
            continue
        try:
            people += await call.phone_book(address)
        except (NotFound, LocalProtocolError, StoreError) as error:
            why = str(error).removeprefix("target: ")
            unreached = Unreached(_NOBODY, why)
            call.note("not_forwarded", to=address, status=_NOBODY, why=why)
            call.log.warning("nobody can be called from a phone book", phone_book=address, why=why)
    return people, unreached


def _otherwise(call: Call, options: ForwardOptions, unreached: Unreached, *, first: str = "") -> HandOver | None:
    """Let the next one have the call; without any it ends."""
    names = (first,) if first else options.fallback
    call.log.info("not forwarded", why=unreached.why, fallback=names[0] if names else None)
    if names:
        return HandOver(names[0], unreached.why, names[1:])
    unreached.end(call)
    return None


@contextmanager
def _counted(tasks: Tasks, agent: str) -> Iterator[int]:
    """Count the calls that an agent forwards at this moment, this one included."""
    counter = _under_way.setdefault(tasks, Counter())
    counter[agent] += 1
    try:
        yield counter[agent]
    finally:
        counter[agent] -= 1
        if not counter[agent]:
            del counter[agent]
