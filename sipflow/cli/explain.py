"""`sipflow explain`: asks the running daemon what becomes of a call and why, or works it out of the configuration."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipflow.calls.explain import Explainer, Explanation, explain_record, hop_of
from sipflow.calls.record import CallRecord
from sipflow.calls.variables import printable
from sipflow.cli.client import CONFIG, NOT_FOUND, UNAVAILABLE, USAGE, Client
from sipflow.config.load import load_store
from sipflow.daemon.explaining import look_up, still_explainer
from sipflow.daemon.loading import load_configuration
from sipflow.errors import ClientError, ConfigError, LocalProtocolError, StoreError
from sipflow.store.calls import CallRecords
from sipflow.store.database import Database

ANSWERED, REFUSED = 0, 1
_MOST_BYTES = 60_000


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What was asked for on the command line; see `sipflow explain --help`."""

    what: str
    to: str
    source: str
    config: Path
    offline: bool = False
    json: bool = False


def run_explain(wanted: ExplainOptions) -> int:
    """Explain a call; returns the exit status.

    Raises:
        LocalProtocolError: an option cannot be used as written.
        ClientError: the daemon refuses to say.
        ConfigError: there is no daemon to ask, and the configuration cannot be used.
        StoreError: there is no daemon to ask, and the store cannot be read.
    """
    asked = question_of(wanted)
    found, why_not = _ask_daemon(wanted, asked)
    if found is None:
        found = asyncio.run(_work_out(wanted, asked))
        sys.stderr.write(f"sipflow: {why_not}; this is what {wanted.config} says by itself\n")
    if wanted.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.write("\n".join(lines_of(found)) + "\n")
    return ANSWERED if found["answered"] else REFUSED


def question_of(wanted: ExplainOptions) -> dict[str, str]:
    """Say what is asked, as `POST /v2/explain` wants it.

    Raises:
        LocalProtocolError: an option cannot be used as written.
    """
    if bool(wanted.what) is bool(wanted.to):
        raise LocalProtocolError("say a file, a call's id, or --to NUMBER; one of them")
    if wanted.source:
        hop_of(wanted.source)
    if wanted.to:
        return {"to": wanted.to, "from_address": wanted.source}
    file = Path(wanted.what)
    if not file.exists():
        if "/" in wanted.what or "." in wanted.what:
            raise LocalProtocolError(f"there is no file {wanted.what[:200]}")
        return {"call_id": wanted.what}
    try:
        text = file.read_bytes()
    except OSError as error:
        raise LocalProtocolError(f"{wanted.what} cannot be read: {error.strerror}") from None
    if len(text) > _MOST_BYTES:
        raise LocalProtocolError(f"{wanted.what} is larger than an INVITE can be")
    return {"invite": text.decode("utf-8", "replace"), "from_address": wanted.source}


def _ask_daemon(wanted: ExplainOptions, asked: Mapping[str, str]) -> tuple[dict[str, Any] | None, str]:
    """Return what the daemon says; or None, and why there was none to ask."""
    if wanted.offline:
        return None, "no daemon was asked"
    try:
        with Client.find(wanted.config) as client:
            answer: dict[str, Any] = client.post("/v2/explain", asked)
    except ClientError as error:
        if error.status in (UNAVAILABLE, CONFIG):
            return None, f"no daemon was asked: {error}"
        raise ClientError(str(error), USAGE if error.status == NOT_FOUND else error.status) from None
    return answer, ""


async def _work_out(wanted: ExplainOptions, asked: Mapping[str, str]) -> dict[str, Any]:
    if "call_id" in asked:
        folder = wanted.config.parent
        return as_object(explain_record(await _record(wanted.config, folder, asked["call_id"])))
    explainer = await _prepared(wanted.config)
    hop = hop_of(wanted.source) if wanted.source else None
    if "invite" in asked:
        return as_object(explainer.explain_text(asked["invite"].encode(), hop))
    return as_object(explainer.explain_number(asked["to"], hop or hop_of("127.0.0.1")))


async def _prepared(config: Path) -> Explainer:
    configuration = load_configuration(config)
    explainer, table = still_explainer(configuration)
    await look_up(table, configuration, lambda why: print(f"sipflow: {why}", file=sys.stderr))
    return explainer


async def _record(config: Path, folder: Path, call_id: str) -> CallRecord:
    settings = load_store(config)
    if not settings.enabled:
        raise ConfigError(f"{config} keeps no records (store.enabled is false)")
    database = await Database.open(settings, folder=folder, make=False)
    try:
        record = await CallRecords(database).find(call_id)
    finally:
        await database.close()
    if record is None:
        raise StoreError(f"there is no finished call {call_id[:80]} in {database.place}, and no such file")
    return record


def as_object(found: Explanation) -> dict[str, Any]:
    """Write an explanation as the API does."""
    return {
        "answered": found.answered,
        "status": found.status,
        "why": found.why,
        "trunk": found.trunk,
        "number": found.number,
        "agent": found.agent,
        "codec": found.codec,
        "steps": [{"part": str(step.part), "text": step.text, "good": step.good} for step in found.steps],
    }


def lines_of(found: Mapping[str, Any]) -> list[str]:
    """Write an explanation for a terminal: the part, a mark where the call fails or may fail, the sentence."""
    lines, last = [], ""
    for step in found["steps"]:
        part = str(step["part"])
        mark = " " if step["good"] else "!"
        lines.append(f"{'' if part == last else part:<10} {mark} {printable(str(step['text']))}")
        last = part
    return lines
