"""Pools of numbers to call from: made, listed, changed, deleted, and how each of their numbers stands."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import Done, Enveloped, Limit, Offset, Pagination
from sipflow.api.errors import documented
from sipflow.api.models import pools as shapes
from sipflow.api.pool_desk import PoolDesk
from sipflow.errors import LocalProtocolError, NotFound
from sipflow.numbers.inventory import is_wildcard
from sipflow.numbers.number import normalise
from sipflow.numbers.pool import Standing
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import RestSettings
from sipflow.numbers.use import Caps
from sipflow.store.directory import Directory
from sipflow.store.entries import slug_of
from sipflow.store.pools import PoolEntry

router = APIRouter(tags=["Pools"])
PoolName = Annotated[str, Path(max_length=80)]
Slug = Annotated[str, Path(max_length=40)]
AgentId = Annotated[str, Path(max_length=80)]
_WRITES = [requires("numbers:write")]
_READS = [requires("numbers:read")]
_WORDS = {
    "resting": "it rests",
    "day": "it has had its calls of the day",
    "second": "it has just been called from",
    "calls": "it has as many calls up as it may",
}
_STATES: dict[str, shapes.State] = {"resting": "resting", "day": "day_full", "second": "waiting", "calls": "busy"}
_CAPS = ("max_calls", "calls_per_second", "calls_per_day")


def _desk(context: InContext) -> PoolDesk:
    return need(context.pools, "the part that has the pools")


InPools = Annotated[PoolDesk, Depends(_desk)]


@router.get("/v2/pools", dependencies=_READS)
async def list_pools(desk: InPools, limit: Limit = 20, offset: Offset = 0) -> Enveloped[shapes.PoolList]:
    """List pools with how many of their numbers are in which state."""
    total, entries = desk.shelf.list(limit=limit, offset=offset)
    pages = Pagination(total_records=total, limit=limit, offset=offset)
    lines = [shapes.PoolLine(**_line(desk, entry)) for entry in entries]
    return Enveloped(response=shapes.PoolList(pagination=pages, pools=lines))


@router.post("/v2/pools", dependencies=_WRITES, responses=documented(409))
async def create_pool(context: InContext, desk: InPools, wanted: shapes.CreatePool) -> Enveloped[shapes.PoolLine]:
    """Create a pool; agents name it in their field `pool`."""
    settings = PoolSettings(
        wanted.name,
        tuple(wanted.strategy),
        _members(context.directory, wanted.numbers),
        _caps(wanted),
        _rest(wanted.rest),
        wanted.remember,
    )
    entry = await desk.shelf.add(settings)
    return Enveloped(response=shapes.PoolLine(**_line(desk, entry)))


@router.get("/v2/pools/{name}", dependencies=_READS, responses=documented(404))
async def get_pool(
    desk: InPools, name: PoolName, limit: Limit = 100, offset: Offset = 0
) -> Enveloped[shapes.PoolDetail]:
    """Show a pool and how each of its numbers stands: which rest, and why."""
    entry = desk.shelf.find(name)
    pool = desk.pools.named[name]
    return Enveloped(
        response=shapes.PoolDetail(
            **_line(desk, entry),
            pagination=Pagination(total_records=len(pool), limit=limit, offset=offset),
            numbers=[_number(desk, each) for each in desk.standings(pool, limit=limit, offset=offset)],
        )
    )


@router.patch("/v2/pools/{name}", dependencies=_WRITES, responses=documented(404, 409))
async def update_pool(
    context: InContext, desk: InPools, name: PoolName, wanted: shapes.ChangePool
) -> Enveloped[shapes.PoolLine]:
    """Change a pool. What is known of its numbers, and calls that are up, stay."""
    entry = await desk.shelf.change(name, partial(_changed, context.directory, wanted))
    return Enveloped(response=shapes.PoolLine(**_line(desk, entry)))


@router.delete("/v2/pools/{name}", dependencies=_WRITES, responses=documented(404, 409))
async def delete_pool(desk: InPools, name: PoolName) -> Done:
    """Delete a pool that no agent calls from; its numbers stay."""
    await desk.shelf.remove(name)
    return Done()


@router.post("/v2/numbers/{slug}/wake", dependencies=_WRITES, responses=documented(404))
async def wake_number(context: InContext, desk: InPools, slug: Slug) -> Done:
    """End the rest of a number now, without probation, in every pool that it is in."""
    desk.wake(context.directory.number(slug).number)
    return Done()


@router.get("/v2/assistants/{model_id}/pool", dependencies=_READS, responses=documented(404, 409))
async def get_agent_pool(
    context: InContext, desk: InPools, model_id: AgentId, limit: Limit = 100, offset: Offset = 0
) -> Enveloped[shapes.AgentPool]:
    """Show the numbers that an agent calls from, and how each of them stands."""
    context.directory.agent(model_id)
    pool = desk.of_agent(model_id)
    return Enveloped(
        response=shapes.AgentPool(
            pool=pool.settings.name if pool.settings.name in desk.pools.named else "",
            pagination=Pagination(total_records=len(pool), limit=limit, offset=offset),
            numbers=[_number(desk, each) for each in desk.standings(pool, limit=limit, offset=offset)],
        )
    )


@router.get("/v2/limits", dependencies=[requires("calls:read")], tags=["Limits"])
async def get_limits(desk: InPools) -> Enveloped[shapes.LimitsLine]:
    """Say how many calls are up, by trunk and by agent, and how many wait for room."""
    live = desk.limits.live()
    by = {
        kind: {name.removeprefix(kind): count for name, count in live.items() if name.startswith(kind)}
        for kind in ("trunks.", "agents.")
    }
    line = shapes.LimitsLine(
        calls=live["calls"], waiting=desk.waiting(), by_trunk=by["trunks."], by_agent=by["agents."]
    )
    return Enveloped(response=line)


def _changed(directory: Directory, wanted: shapes.ChangePool, old: PoolSettings) -> PoolSettings:
    """Return a pool with what is named changed."""
    given = wanted.model_fields_set
    return PoolSettings(
        old.name,
        tuple(wanted.strategy) if wanted.strategy is not None else old.strategy,
        _members(directory, wanted.numbers) if wanted.numbers is not None else old.members,
        Caps(**{key: getattr(wanted if key in given else old.caps, key) for key in _CAPS}),
        _rest(wanted.rest) if wanted.rest is not None else old.rest,
        wanted.remember or old.remember,
    )


def _members(directory: Directory, wanted: Sequence[shapes.PoolNumber]) -> tuple[Member, ...]:
    """Return the members, each a number that is there.

    Raises:
        LocalProtocolError: one is not, or is given twice.
    """
    found: dict[str, Member] = {}
    for each in wanted:
        text = each.phone_number
        number = text if is_wildcard(text) else _listed(directory, text)
        if number in found:
            raise LocalProtocolError(f"numbers: {text[:40]!r} is given twice")
        found[number] = Member(number, each.weight, _caps(each))
    return tuple(found.values())


def _listed(directory: Directory, text: str) -> str:
    for form in (normalise(text, region=None), text):
        try:
            return directory.number(form).number
        except NotFound:
            continue
    raise LocalProtocolError(f"numbers: there is no number {text[:40]!r}; import it first")


def _caps(wanted: shapes.Caps) -> Caps:
    return Caps(wanted.max_calls, wanted.calls_per_second, wanted.calls_per_day)


def _rest(wanted: shapes.Rest) -> RestSettings:
    try:
        return RestSettings(**wanted.model_dump())
    except LocalProtocolError as error:
        raise LocalProtocolError(f"rest.{error}") from None


def _line(desk: PoolDesk, entry: PoolEntry) -> dict[str, Any]:
    settings = entry.settings
    pool = desk.pools.named[settings.name]
    return {
        "name": settings.name,
        "strategy": list(settings.strategy),
        "caps": _caps_line(settings.caps),
        "rest": shapes.RestLine(**{name: getattr(settings.rest, name) for name in RestSettings.__slots__}),
        "remember": settings.remember,
        "declared": entry.declared,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "answer_rate": pool.rate.value if pool.rate.calls else None,
        "number_count": len(pool),
        "states": {"free": pool.free_count} | {_STATES[kind]: count for kind, count in pool.held_up.items()},
    }


def _caps_line(caps: Caps) -> shapes.CapsLine:
    return shapes.CapsLine(**{name: getattr(caps, name) for name in _CAPS})


def _state(found: Standing) -> shapes.State:
    if found.block is not None:
        return _STATES[found.block.kind]
    return "probation" if found.on_probation else "free"


def _number(desk: PoolDesk, found: Standing) -> shapes.NumberState:
    block = found.block
    why = _WORDS[block.kind] if block is not None else ""
    if block is not None and block.kind == "resting":
        why += f": {found.why}"
    elif found.on_probation and block is not None:
        why += f"; it rested: {found.why}"
    elif found.on_probation:
        why = f"it is back from a rest, for one call at a time until one is answered: {found.why}"
    return shapes.NumberState(
        phone_number=found.number,
        slug=slug_of(found.number),
        weight=found.weight,
        caps=_caps_line(found.caps),
        state=_state(found),
        why=why,
        free_at=desk.at(block.until) if block is not None and block.kind != "calls" else None,
        calls_up=found.live,
        calls_today=found.today,
        last_used_at=desk.at(found.used_at) if found.used_at is not None else None,
        answer_rate=found.answer_rate,
    )
