"""What `sipflow calls` does: reads the store that a configuration names, and prints what is asked for."""

import asyncio
import json as json_module
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import typer

from sipflow.cli.call_texts import CSV_COLUMNS, as_object, csv_line, csv_values, details, table
from sipflow.cli.calls import CallsOptions
from sipflow.config.load import load_store
from sipflow.errors import ConfigError, LocalProtocolError, StoreError
from sipflow.store.calls import CallFilter, CallRecords
from sipflow.store.database import Database

_NOT_FOUND, _USAGE, _UNAVAILABLE, _CONFIG = 1, 2, 69, 78
_AGE = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORMATS = ("csv", "jsonl")


def print_list(wanted: CallsOptions, *, limit: int, offset: int, json: bool) -> int:
    """Print a page of calls; return the exit status."""

    async def run() -> int:
        asked = call_filter(wanted, now=datetime.now(UTC))
        async with _records(wanted.config) as (records, database):
            total, found = await records.page(asked, limit=limit, offset=offset)
            everything = total if asked == CallFilter() else (await records.page(limit=1))[0]
        if json:
            _print(json_module.dumps({"total": total, "calls": [as_object(record) for record in found]}, indent=2))
        elif found:
            _print("\n".join(table(found)))
            if total > len(found):
                first = offset + 1
                _print(f"calls {first} to {offset + len(found)} of {total}; --limit and --offset show others")
        else:
            _print(_nothing(str(database.place), total=total, everything=everything))
        return 0

    return _guarded(run)


def print_one(config: Path, call_id: str, *, json: bool) -> int:
    """Print one call; return the exit status."""

    async def run() -> int:
        async with _records(config) as (records, database):
            record = await records.find(call_id)
        if record is None:
            _complain(f"there is no finished call {call_id} in {database.place}; `sipflow calls` lists them")
            return _NOT_FOUND
        _print(json_module.dumps(as_object(record), indent=2) if json else "\n".join(details(record)))
        return 0

    return _guarded(run)


def export(wanted: CallsOptions, *, form: str, output: Path | None) -> int:
    """Write all calls that are asked for; return the exit status."""

    async def run() -> int:
        if form not in _FORMATS:
            raise LocalProtocolError(f"--format {form!r} is none of {', '.join(_FORMATS)}")
        asked = call_filter(wanted, now=datetime.now(UTC))
        async with _records(wanted.config) as (records, _):
            if output is None:
                count = await _write(sys.stdout, form, records, asked)
            else:
                with _opened(output) as stream:
                    count = await _write(stream, form, records, asked)
        _complain(f"{count} {'call' if count == 1 else 'calls'} exported" + (f" to {output}" if output else ""))
        return 0

    return _guarded(run)


def call_filter(wanted: CallsOptions, *, now: datetime) -> CallFilter:
    """Turn options into a filter.

    Raises:
        LocalProtocolError: one cannot be used as written.
    """
    if wanted.direction not in ("", "inbound", "outbound"):
        raise LocalProtocolError(f"--direction {wanted.direction!r} is neither inbound nor outbound")
    return CallFilter(
        agent=wanted.agent,
        status=wanted.status,
        direction=wanted.direction,
        trunk=wanted.trunk,
        word=wanted.word,
        number=wanted.number,
        lead_number=wanted.lead,
        from_at=_moment("--since", wanted.since, now),
        to_at=_moment("--until", wanted.until, now),
        duration_min_s=wanted.min_s,
        duration_max_s=wanted.max_s,
        text=wanted.text,
    )


def _moment(option: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        return datetime.fromisoformat(text).astimezone(UTC)  # without a zone it is the one of this machine
    except (ValueError, OverflowError):
        raise LocalProtocolError(
            f"{option} {text!r} is no time: write 2024-05-01, 2024-05-01T14:30, or an age such as 30m, 2h, 7d"
        ) from None


async def _write(stream: TextIO, form: str, records: CallRecords, asked: CallFilter) -> int:
    count = 0
    if form == "csv":
        stream.write(csv_line(CSV_COLUMNS))
    async for record in records.each(asked):
        values = as_object(record)
        if form == "csv":
            stream.write(csv_line(csv_values(values)))
        else:
            stream.write(json_module.dumps(values, separators=(",", ":")) + "\n")
        count += 1
    stream.flush()
    return count


def _opened(output: Path) -> TextIO:
    try:
        return output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise LocalProtocolError(f"--output {output} cannot be written: {error.strerror}") from None


@asynccontextmanager
async def _records(config: Path) -> AsyncIterator[tuple[CallRecords, Database]]:
    settings = load_store(config)
    if not settings.enabled:
        raise StoreError(f"{config} keeps no records (store.enabled is false)")
    database = await Database.open(settings, folder=_folder(config), make=False)
    try:
        yield CallRecords(database), database
    finally:
        await database.close()


def _folder(config: Path) -> Path:
    return config.absolute().parent


def _nothing(place: str, *, total: int, everything: int) -> str:
    if total:
        return f"there are only {total} such calls: --offset is too far"
    if everything:
        return f"none of the {everything} calls in {place} is such a call: leave out an option, or see --help"
    return f"no call has ended yet since {place} was made; live calls are not in it"


def _guarded(run: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run; say what went wrong and return its exit status."""
    try:
        return asyncio.run(run())
    except ConfigError as error:
        _complain(str(error))
        return _CONFIG
    except LocalProtocolError as error:
        _complain(str(error))
        return _USAGE
    except StoreError as error:
        _complain(str(error))
        return _UNAVAILABLE


def _print(text: str) -> None:
    typer.echo(text)


def _complain(text: str) -> None:
    typer.echo(f"sipflow: {text}", err=True)
