"""Trunks of their own, for several numbers: list, show, create, change, delete. Ours; the reference has none."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from sipflow.api.auth import requires
from sipflow.api.context import Context, InContext
from sipflow.api.envelope import Done, Enveloped, Limit, Offset, Pagination
from sipflow.api.errors import documented
from sipflow.api.models.numbers import Registration
from sipflow.api.models.trunks import ChangeTrunk, CreateTrunk, TrunkLine, TrunkList
from sipflow.store.entries import TrunkEntry
from sipflow.trunks.fields import TrunkFields

router = APIRouter(prefix="/v2/trunks", tags=["Trunks"])
TrunkName = Annotated[str, Path(max_length=80)]
_WRITES = [requires("numbers:write")]
_READS = [requires("numbers:read")]
_SHOWN = ("sip_domain", "username", "outbound_proxy", "auth_username", "origination_uri", "provider_name")


@router.get("", dependencies=_READS)
async def list_trunks(context: InContext, limit: Limit = 20, offset: Offset = 0) -> Enveloped[TrunkList]:
    """List trunks with the state of their registration, those that numbers brought along among them."""
    total, entries = context.directory.list_trunks(limit=limit, offset=offset)
    pages = Pagination(total_records=total, limit=limit, offset=offset)
    return Enveloped(response=TrunkList(pagination=pages, trunks=[_line(context, entry) for entry in entries]))


@router.get("/{name}", dependencies=_READS, responses=documented(404))
async def get_trunk(context: InContext, name: TrunkName) -> Enveloped[TrunkLine]:
    """Show a trunk."""
    return Enveloped(response=_line(context, context.directory.trunk(name)))


@router.post("", dependencies=_WRITES, responses=documented(409))
async def create_trunk(context: InContext, wanted: CreateTrunk) -> Enveloped[TrunkLine]:
    """Create a trunk that numbers can name. Where it registers, the registration starts at once."""
    entry = await context.directory.add_trunk(wanted.name, TrunkFields(**_changes(wanted)))
    return Enveloped(response=_line(context, entry))


@router.patch("/{name}", dependencies=_WRITES, responses=documented(404, 409))
async def update_trunk(context: InContext, name: TrunkName, wanted: ChangeTrunk) -> Enveloped[TrunkLine]:
    """Change a trunk; one that is another one now is registered anew."""
    return Enveloped(response=_line(context, await context.directory.change_trunk(name, _changes(wanted))))


@router.delete("/{name}", dependencies=_WRITES, responses=documented(404, 409))
async def delete_trunk(context: InContext, name: TrunkName) -> Done:
    """Delete a trunk that no number uses; it is un-registered."""
    await context.directory.remove_trunk(name)
    return Done()


def _changes(wanted: CreateTrunk | ChangeTrunk) -> dict[str, Any]:
    """Return what a request says, by the names of `TrunkFields`."""
    given = wanted.model_dump(exclude={"name"}, exclude_none=True)
    if "settings" in given:
        given["more"] = given.pop("settings")
    return given


def _line(context: Context, entry: TrunkEntry) -> TrunkLine:
    fields = entry.fields
    return TrunkLine(
        name=entry.name,
        **{key: getattr(fields, key) for key in _SHOWN},
        has_password=entry.has_password,
        uac_enabled=fields.uac_enabled,
        uac_register_expires=fields.uac_register_expires if fields.uac_enabled else None,
        settings=dict(fields.more),
        declared=entry.declared,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        registration=Registration.of(context.registration(entry.name)),
    )
