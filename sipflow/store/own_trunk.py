"""The trunk that a number brings along: it has the number's name, and comes, changes and goes with the number."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import phonenumbers

from sipflow.errors import Conflict, LocalProtocolError
from sipflow.store import checks
from sipflow.store.stored import StoredNumber, StoredTrunk, e164_or_none
from sipflow.trunks.fields import REFERENCE_NAMES, TrunkFields, trunk_from_fields

if TYPE_CHECKING:
    from sipflow.store.rows import Change


def make(number: str, given: TrunkFields, now: datetime) -> StoredTrunk:
    """Make the trunk of a number; without a host to call, its `trunk` is None and it need not be kept.

    Raises:
        LocalProtocolError: a field is wrong; the sentence begins with its name in the reference's words.
    """
    given = _with_region(number, given)
    with _reference_words():
        return StoredTrunk(number, given, trunk_from_fields(number, given, phone_number=e164_or_none(number)), now)


async def leave_for(change: "Change", kept: StoredNumber, trunk: str) -> StoredNumber:
    """Have a number use another trunk from now on, "" for any; its own one goes, if it had one."""
    if trunk != kept.number and kept.trunk == kept.number:
        await change.remove_trunk(kept.number)
    return replace(kept, trunk=trunk or None)


async def alter(change: "Change", kept: StoredNumber, changes: Mapping[str, Any], now: datetime) -> StoredNumber:
    """Change fields of a number's own trunk, which comes or goes with the host to call.

    Raises:
        Conflict: the number uses a trunk that is not its own.
        LocalProtocolError: a field is wrong; the sentence begins with its name in the reference's words.
    """
    if set(changes) == {"provider_name"} and kept.trunk != kept.number:
        return replace(kept, provider_name=checks.provider_of(changes["provider_name"]))
    if kept.trunk is not None and kept.trunk != kept.number:
        raise Conflict(f"{kept.number} uses the trunk {kept.trunk}, which is not its own; change that trunk")
    old = change.stored.trunks.get(kept.number)
    base = old.fields if old is not None else TrunkFields(provider_name=kept.provider_name)
    given = replace(base, **changes)
    own = make(kept.number, given, old.created_at if old is not None else now)
    if own.trunk is not None:
        await change.put_trunk(replace(own, updated_at=now))
    elif old is not None:
        await change.remove_trunk(kept.number)
    return replace(kept, trunk=kept.number if own.trunk is not None else None, provider_name=given.provider_name)


def _with_region(name: str, given: TrunkFields) -> TrunkFields:
    """Let the trunk send national numbers of the number's own country."""
    if "region" in given.more or not e164_or_none(name):
        return given
    region = phonenumbers.region_code_for_number(phonenumbers.parse(name))
    return replace(given, more={**given.more, "region": region}) if region in phonenumbers.SUPPORTED_REGIONS else given


@contextmanager
def _reference_words() -> Iterator[None]:
    """Let errors name fields as the reference does."""
    try:
        yield
    except LocalProtocolError as error:
        key, colon, sentence = str(error).partition(": ")
        raise LocalProtocolError(f"{REFERENCE_NAMES.get(key, key)}{colon}{sentence}") from None
