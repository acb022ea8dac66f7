"""Numbers: import, list, show, change, delete, in the reference's shapes."""

from functools import lru_cache
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

import phonenumbers
from fastapi import APIRouter, Path, Query
from phonenumbers import NumberParseException

from sipflow.api.auth import requires
from sipflow.api.context import Context, InContext
from sipflow.api.envelope import Done, Enveloped, Limit, Offset, Pagination
from sipflow.api.errors import documented
from sipflow.api.homes import NOWHERE
from sipflow.api.models.numbers import (
    ChangeNumber,
    Imported,
    ImportNumber,
    Limits,
    NumberDetail,
    NumberLine,
    NumberList,
    Registration,
)
from sipflow.errors import ApiError
from sipflow.store.entries import NumberEntry
from sipflow.store.number_homes import Home
from sipflow.trunks.fields import PROVIDERS, TrunkFields
from sipflow.trunks.snapshot import OFF

router = APIRouter(tags=["Numbers"])
Slug = Annotated[
    str, Path(max_length=60, description="The number without its leading +; with it, it is understood, too.")
]
Workspace = Annotated[
    str, Query(max_length=80, description="Asked for by clients of the reference; there is one workspace here.")
]
_WRITES = [requires("numbers:write")]
_READS = [requires("numbers:read")]
# What the request calls a field of the trunk -> what the trunk calls it.
_TRUNK_FIELDS = {
    "trunk_username": "username",
    "trunk_pwd": "password",
    "sip_outbound_proxy": "outbound_proxy",
    "sip_auth_username": "auth_username",
    "provider_name": "provider_name",
    "uac_enabled": "uac_enabled",
    "uac_register_expires": "uac_register_expires",
    "trunk_settings": "more",
}
_NULL_CLEARS = frozenset({"sip_outbound_proxy", "sip_auth_username"})  # null is what is shown where they are not set


@router.post("/v2/custom-numbers", dependencies=_WRITES, responses=documented(409))
async def create_custom_number(context: InContext, wanted: ImportNumber) -> Enveloped[Imported]:
    """Import a number. Where its trunk registers, the registration starts at once."""
    return await _import(context, wanted)


@router.post("/custom-numbers", dependencies=_WRITES, responses=documented(409))
async def create_custom_number_without_version(context: InContext, wanted: ImportNumber) -> Enveloped[Imported]:
    """Import a number; the same as `/v2/custom-numbers`."""
    return await _import(context, wanted)


@router.get("/v2/numbers", dependencies=_READS)
async def list_numbers(
    context: InContext,
    workspace: Workspace = "",  # noqa: ARG001  (clients send it)
    limit: Limit = 20,
    offset: Offset = 0,
    is_available: Annotated[bool | None, Query(description="True: no inbound agent has it. False: one has.")] = None,
) -> Enveloped[NumberList]:
    """List numbers, those of the configuration first, then the oldest."""
    total, entries = context.directory.list_numbers(is_available=is_available, limit=limit, offset=offset)
    pages = Pagination(total_records=total, limit=limit, offset=offset)
    lines = [_line(context, entry) for entry in entries]
    return Enveloped(response=NumberList(pagination=pages, phone_numbers=lines))


@router.get("/v2/numbers/{phone_number_slug}", dependencies=_READS, responses=documented(404))
async def get_phone_number(context: InContext, phone_number_slug: Slug, workspace: Workspace = "") -> NumberDetail:
    """Show a number, flat, without an envelope, as the reference does."""
    entry = context.directory.number(phone_number_slug)
    home = await context.homes.of(entry.number) if context.homes is not None else NOWHERE
    return _detail(context, entry, home, workspace)


@router.patch("/v2/numbers/{phone_number_slug}", dependencies=_WRITES, responses=documented(404, 409))
async def update_phone_number(context: InContext, phone_number_slug: Slug, wanted: ChangeNumber) -> Done:
    """Change a number and its trunk; a trunk that is another one now is registered anew."""
    said = wanted.phone_number
    if said is not None and said != context.directory.number(phone_number_slug).number:
        raise ApiError(400, "phone_number: a number cannot become another one; import that, and delete this")
    await context.directory.change_number(
        phone_number_slug,
        trunk_changes(wanted) or None,
        trunk=wanted.trunk,
        friendly_name=wanted.friendly_name,
        limits=_limits(wanted.limits),
    )
    return Done()


@router.delete("/v2/numbers/{phone_number_slug}", dependencies=_WRITES, responses=documented(404, 409))
async def delete_phone_number(context: InContext, phone_number_slug: Slug) -> Done:
    """Delete a number: it is detached from every agent, and its own trunk is un-registered."""
    await context.directory.remove_number(phone_number_slug)
    return Done()


async def _import(context: Context, wanted: ImportNumber) -> Enveloped[Imported]:
    changes = trunk_changes(wanted)
    entry = await context.directory.add_number(
        wanted.phone_number,
        TrunkFields(**changes) if changes or not wanted.trunk else None,
        trunk=wanted.trunk or "",
        friendly_name=wanted.friendly_name or "",
        workspace_id=wanted.workspace_id,
        limits=_limits(wanted.limits),
    )
    if context.homes is not None:
        context.homes.find_out(entry.number)
    key = str(uuid5(NAMESPACE_URL, f"tel:{entry.number}"))
    registration = _registration(context, entry)
    return Enveloped(response=Imported(key=key, phone_number=entry.number, slug=entry.slug, registration=registration))


def trunk_changes(wanted: ImportNumber | ChangeNumber) -> dict[str, Any]:
    """Return what a request says of a trunk, by the names of `TrunkFields`."""
    changes: dict[str, Any] = {}
    for asked, name in _TRUNK_FIELDS.items():
        value = getattr(wanted, asked)
        if value is not None:
            changes[name] = value
        elif asked in _NULL_CLEARS and asked in wanted.model_fields_set:
            changes[name] = ""
    domain = wanted.domain
    return changes if domain is None else {**changes, "sip_domain": domain}


def _limits(wanted: Limits | None) -> dict[str, float] | None:
    return None if wanted is None else wanted.model_dump(exclude_none=True)


def _registration(context: Context, entry: NumberEntry) -> Registration:
    return Registration.of(context.registration(entry.trunk) if entry.trunk is not None else OFF)


def _line(context: Context, entry: NumberEntry) -> NumberLine:
    return NumberLine(
        number=entry.number,
        sid=None,
        is_available=entry.is_available,
        slug=entry.slug,
        friendly_name=entry.friendly_name,
        provider_name=entry.provider_name,
        declared=entry.declared,
        registration=_registration(context, entry),
    )


def _detail(context: Context, entry: NumberEntry, home: Home, workspace: str) -> NumberDetail:
    trunk = entry.trunk_fields or TrunkFields()
    return NumberDetail(
        slug=entry.slug,
        address_requirement="none",
        phone_number=entry.number,
        friendly_name=entry.friendly_name,
        is_sms_capable=False,
        is_voice_capable=True,
        iso_country=_country(entry.number),
        locality=home.locality,
        sip_auth_username=trunk.auth_username or None,
        sip_outbound_proxy=trunk.outbound_proxy or None,
        sip_term_uri=trunk.sip_domain or PROVIDERS[entry.provider_name].sip_domain,
        uac_enabled=trunk.uac_enabled,
        uac_register_expires=trunk.uac_register_expires if trunk.uac_enabled else None,
        sid=None,
        provider_name=entry.provider_name,
        region=home.region,
        is_available=entry.is_available,
        agency_workspace_id=None,
        workspace_id=entry.workspace_id or workspace,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        assistants=list(entry.agents),
        declared=entry.declared,
        registration=_registration(context, entry),
        inbound_agent=entry.inbound_agent,
        outbound_agents=list(entry.outbound_agents),
        trunk=entry.trunk,
        trunk_username=trunk.username or None,
        has_password=entry.has_password,
        trunk_settings=dict(trunk.more),
        origination_uri=trunk.origination_uri or context.origination_uri,
        limits=dict(entry.limits),
    )


@lru_cache(maxsize=4096)
def _country(number: str) -> str:
    """Return the country of a number, "" where it tells none."""
    if not number.startswith("+"):
        return ""
    try:
        return str(phonenumbers.region_code_for_number(phonenumbers.parse(number)) or "")
    except NumberParseException:
        return ""
