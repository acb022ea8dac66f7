"""How the edge is at the moment: for `sipflow status`, the console, and whoever was woken."""

from fastapi import APIRouter

from sipflow import __version__
from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import Enveloped
from sipflow.api.measures import Measures
from sipflow.api.models.status import CallCounts, CheckShown, Status, TrunkState
from sipflow.api.readiness import checks
from sipflow.sip.addressing import join_host_port
from sipflow.trunks.runner import RegistrationStatus
from sipflow.trunks.snapshot import snapshot_of

router = APIRouter(prefix="/v2", tags=["Health"])
_MOST_TRUNKS = 1000


@router.get("/status", dependencies=[requires("status:read")])
async def edge_status(context: InContext) -> Enveloped[Status]:
    """Say how the edge is: whether it is ready and why not, its calls, its trunks, how late it is."""
    measures = need(context.measures, "the telephone side")
    found, tally = checks(measures), measures.tracers.tally
    ring = measures.tracers.ring
    shown = Status(
        version=__version__,
        started_at=measures.started_at,
        uptime_s=round((measures.wall() - measures.started_at).total_seconds(), 1),
        ready=all(each.ok for each in found),
        checks=[CheckShown(name=each.name, ok=each.ok, why=each.why) for each in found],
        listening=[str(address) for address in measures.endpoint.listening],
        calls=_calls(measures),
        trunks=_trunks(measures),
        numbers=len(context.directory.numbers),
        agents=len(context.directory.agents),
        loop_worst_ms=round(1000 * measures.pulse.worst_lately_s, 1),
        pacer_p99_ms=round(measures.media.pacer.lateness.percentile(99), 1),
        sip_messages=sum(tally.messages.values()),
        sip_retransmissions=sum(tally.repeated.values()),
        faults=measures.endpoint.faults + measures.switchboard.tasks.failures,
        traced_bytes=ring.size_bytes if ring is not None else 0,
        store=measures.place,
    )
    return Enveloped(response=shown)


def _calls(measures: Measures) -> CallCounts:
    calls = measures.switchboard.calls.values()
    inbound = sum(call.record.direction == "inbound" for call in calls)
    return CallCounts(
        live=len(calls),
        inbound=inbound,
        outbound=len(calls) - inbound,
        answered=sum(call.answered for call in calls),
        waiting=measures.waiting(),
    )


def _trunks(measures: Measures) -> list[TrunkState]:
    """Give the trunks whose state is known; those in trouble first."""
    registrations = {each.trunk: each for each in measures.registrations()}
    healths = {each.trunk: each for each in measures.healths()}
    found = []
    for name in dict.fromkeys((*registrations, *healths)):
        state, why, seen_as = _registration(measures, registrations.get(name))
        health = healths.get(name)
        round_trip_s = health.round_trip_s if health is not None else None
        found.append(
            TrunkState(
                name=name,
                registration=state,
                why=why or (health.last_error if health is not None else ""),
                far_end=str(health.state) if health is not None else "",
                round_trip_ms=round(1000 * round_trip_s, 1) if round_trip_s is not None else None,
                seen_as=seen_as,
            )
        )
    return sorted(found, key=lambda each: (each.registration in ("registered", "off"), each.name))[:_MOST_TRUNKS]


def _registration(measures: Measures, status: RegistrationStatus | None) -> tuple[str, str, str]:
    if status is None:
        return "off", "", ""
    snapshot = snapshot_of(status, now=measures.now(), wall=measures.wall())
    return snapshot.state, snapshot.sentence, join_host_port(*status.seen_as) if status.seen_as is not None else ""
