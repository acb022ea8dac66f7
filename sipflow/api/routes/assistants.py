"""Agents, which the reference calls assistants, and the numbers attached to them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from sipflow.agents.handlers import BUILT_IN
from sipflow.api.auth import requires
from sipflow.api.context import Context, InContext
from sipflow.api.envelope import Done, Enveloped, Limit, Offset, Pagination
from sipflow.api.errors import documented
from sipflow.api.models.assistants import (
    DEFAULT_TIMEZONE,
    Assistant,
    AssistantList,
    AttachedNumber,
    AttachNumbers,
    ChangeAssistant,
    CreateAssistant,
    CreatedAssistant,
    DeletedAssistant,
    Details,
    ModelId,
)
from sipflow.errors import ApiError, NotFound
from sipflow.store.entries import AgentEntry, slug_of

router = APIRouter(prefix="/v2/assistants", tags=["Assistants"])
AgentId = Annotated[str, Path(max_length=80, description="`model_id`; of an agent of the configuration, its name.")]
Slug = Annotated[str, Path(max_length=60, description="The number without its leading +.")]
WithActions = Annotated[
    bool, Query(description="Whether `actions` and `input_variables` are there; they are empty here.")
]
_WRITES = [requires("agents:write")]
_READS = [requires("agents:read")]
_OWN = frozenset({"name", "type", "handler", "options", "phone_number", "agent"})  # the rest passes through
_HIDDEN = "***"  # what stands for an option that may be a secret; sent back, the option stays as it is
FALLBACK_HANDLER = "echo"


@router.post("", dependencies=_WRITES, responses=documented(404, 409))
async def create_assistant(context: InContext, wanted: CreateAssistant) -> CreatedAssistant:
    """Create an agent; a number in `phone_number` is attached to it."""
    handler, options = _handler(context, wanted)
    _check_handler(context, handler)
    number = context.directory.number(wanted.phone_number).number if wanted.phone_number else ""
    fields = _passed(wanted)
    fields["agent"] = {"timezone": DEFAULT_TIMEZONE} | _given(wanted.agent)
    _check_voicemail(fields)
    directory = context.directory
    async with _staying(context, wanted.pool):
        entry = await directory.add_agent(
            name=wanted.name, type=wanted.type, handler=handler, options=options, fields=fields
        )
    if number:
        try:
            await directory.attach(entry.model_id, [number])
        except BaseException:
            await directory.remove_agent(entry.model_id)  # all of it or nothing
            raise
    return _created(context, entry)


@router.get("", dependencies=_READS)
async def list_assistants(context: InContext, limit: Limit = 20, offset: Offset = 0) -> Enveloped[AssistantList]:
    """List agents, those of the configuration first, then the oldest."""
    total, entries = context.directory.list_agents(limit=limit, offset=offset)
    pages = Pagination(total_records=total, limit=limit, offset=offset)
    return Enveloped(response=AssistantList(pagination=pages, assistants=[_shown(context, each) for each in entries]))


@router.get("/{model_id}", dependencies=_READS, responses=documented(404))
async def get_assistant(
    context: InContext, model_id: AgentId, include_actions: WithActions = False
) -> Enveloped[AssistantList]:
    """Show an agent: an array of one, as in the reference."""
    shown = _shown(context, context.directory.agent(model_id), actions=include_actions)
    pages = Pagination(total_records=1, limit=1, offset=0)
    return Enveloped(response=AssistantList(pagination=pages, assistants=[shown]))


@router.put("/{model_id}", dependencies=_WRITES, responses=documented(404, 409))
async def update_assistant(context: InContext, model_id: AgentId, wanted: ChangeAssistant) -> CreatedAssistant:
    """Change what is named; everything else stays, the fields of `agent` that are not named too."""
    directory = context.directory
    entry = directory.agent(model_id)
    number = directory.number(wanted.phone_number).number if wanted.phone_number else wanted.phone_number
    fields, settings = _passed(wanted), _given(wanted.agent) if wanted.agent is not None else None
    _check_voicemail({**entry.fields, **fields, "agent": {**(entry.fields.get("agent") or {}), **(settings or {})}})
    _check_handler(context, wanted.handler or entry.handler)
    if fields or wanted.model_fields_set & {"name", "type", "handler", "options", "agent"}:
        async with _staying(context, wanted.pool):
            entry = await directory.change_agent(
                model_id,
                name=wanted.name,
                type=wanted.type,
                handler=wanted.handler,
                options=_options(wanted, entry),
                fields=fields,
                settings=settings,
            )
    if number is not None:
        await _give_number(context, model_id, number)
    return _created(context, entry)


@router.delete("/{model_id}", dependencies=_WRITES, responses=documented(404, 409))
async def delete_assistant(context: InContext, model_id: AgentId) -> Enveloped[DeletedAssistant]:
    """Delete an agent; its numbers are free again, its live calls go on."""
    await context.directory.remove_agent(model_id)
    return Enveloped(response=DeletedAssistant(answer=f"agent {model_id} is deleted"))


@router.put("/{model_id}/phone_numbers", dependencies=_WRITES, responses=documented(404, 409))
async def attach_phone_numbers_to_assistant(context: InContext, model_id: AgentId, wanted: AttachNumbers) -> Done:
    """Attach numbers to an agent: an inbound one answers them, an outbound one may call from them. All or none."""
    await context.directory.attach(model_id, wanted.named)
    return Done()


@router.delete("/{model_id}/phone_numbers/{phone_number_slug}", dependencies=_WRITES, responses=documented(404, 409))
async def detach_phone_number_from_assistant(context: InContext, model_id: AgentId, phone_number_slug: Slug) -> Done:
    """Detach a number from an agent, with effect for the next call."""
    await context.directory.detach(model_id, phone_number_slug)
    return Done()


def _handler(context: Context, wanted: CreateAssistant) -> tuple[str, Mapping[str, Any]]:
    """Return handler and options of a new agent: its own, those of the default agent, or echo."""
    if wanted.handler is not None:
        return wanted.handler, wanted.options or {}
    default = context.settings.default_agent
    if default:
        try:
            model = context.directory.agent(default)
        except NotFound:
            raise ApiError(503, f"api.default_agent names {default}, and there is no such agent") from None
        return model.handler, {**model.options, **(wanted.options or {})}
    return FALLBACK_HANDLER, wanted.options or {}


def _check_handler(context: Context, handler: str) -> None:
    """Let a client name no code but what the configuration runs already: to import a module is to run it.

    Raises:
        ApiError: it names a function of no agent of the configuration.
    """
    if ":" not in handler:
        return
    if not any(agent.declared and agent.handler == handler for agent in context.directory.agents.values()):
        sentence = f"handler: {handler!r} is none of {', '.join(BUILT_IN)}, nor a function that the configuration names"
        raise ApiError(400, sentence)


@asynccontextmanager
async def _staying(context: Context, pool: str | None) -> AsyncIterator[None]:
    """Keep the pool that an agent is to call from while the agent is told so.

    Raises:
        ApiError: there is no such pool.
    """
    async with AsyncExitStack() as stack:
        if pool and context.pools is not None:
            try:
                await stack.enter_async_context(context.pools.shelf.staying(pool))
            except NotFound as error:
                raise ApiError(400, f"pool: {error}") from None
        yield


def _options(wanted: ChangeAssistant, entry: AgentEntry) -> Mapping[str, Any] | None:
    """Return the options that replace those of an agent; what is hidden in an answer may be sent back as it was."""
    if wanted.options is None:
        return {} if wanted.handler is not None and wanted.handler != entry.handler else None
    return {
        key: entry.options[key] if value == _HIDDEN and key in entry.options else value
        for key, value in wanted.options.items()
    }


def _passed(wanted: CreateAssistant | ChangeAssistant) -> dict[str, Any]:
    """Return the fields of a request that pass through us."""
    return {
        key: value
        for key, value in wanted.model_dump(mode="json", exclude_unset=True, exclude=set(_OWN)).items()
        if value is not None
    }


def _given(agent: Any) -> dict[str, Any]:
    return {key: value for key, value in agent.model_dump(mode="json", exclude_unset=True).items() if value is not None}


def _check_voicemail(fields: Mapping[str, Any]) -> None:
    """Refuse a message for machines where the agent does not wait for a voice, as the reference does."""
    message, agent = fields.get("voicemail_message") or {}, fields.get("agent") or {}
    if message.get("enabled") and agent.get("greeting_message_mode") != "human":
        raise ApiError(400, "voicemail_message: it needs agent.greeting_message_mode to be human")


async def _give_number(context: Context, model_id: str, number: str) -> None:
    """Make this the agent's first number, in the place of the one it had; "" takes that away."""
    directory = context.directory
    attached = directory.numbers_of(model_id)
    if number and number not in attached:
        await directory.attach(model_id, [number])
    if attached and attached[0] != number:
        await directory.detach(model_id, attached[0])


def _created(context: Context, entry: AgentEntry) -> CreatedAssistant:
    numbers = context.directory.numbers_of(entry.model_id)
    voice = str((entry.fields.get("agent") or {}).get("voice_id") or "")
    details = Details(phone=numbers[0] if numbers else "", voice=voice)
    return CreatedAssistant(response=ModelId(model_id=entry.model_id), details=details)


def _shown(context: Context, entry: AgentEntry, *, actions: bool = False) -> Assistant:
    numbers = context.directory.numbers_of(entry.model_id)
    fields = {"description": "", **entry.fields}
    if actions:
        fields |= {"actions": [], "input_variables": []}
    own: dict[str, Any] = {
        "model_id": entry.model_id,
        "type": entry.type,
        "name": entry.name,
        "phone_number": numbers[0] if numbers else "",
        "agent": dict(entry.fields.get("agent") or {"timezone": DEFAULT_TIMEZONE}),
        "attached_phone_numbers": [AttachedNumber(number=number, sid=None, slug=slug_of(number)) for number in numbers],
        "handler": entry.handler,
        "options": dict(entry.shown_options),
        "declared": entry.declared,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
    }
    return Assistant(**(fields | own))
