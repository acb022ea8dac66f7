"""What the running daemon says, as tables for people and as JSON for programs."""

import json as json_module
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sipflow.cli.client import NOT_FOUND, UNAVAILABLE, Client
from sipflow.errors import ClientError

_WIDE = 200  # columns where nobody looks, as in a file
_GOOD, _BAD, _SOSO = "green", "red", "yellow"
_STYLES = {
    "registered": _GOOD, "up": _GOOD, "ok": _GOOD,
    "failed": _BAD, "down": _BAD, "not ok": _BAD,
    "registering": _SOSO, "unregistering": _SOSO, "unknown": _SOSO,
}  # fmt: skip
LAST = "last"


def asked(config: Path, ask: Callable[[Client], int]) -> int:
    """Ask the daemon; say what is wrong where that fails. Returns the exit status."""
    try:
        with Client.find(config) as client:
            return ask(client)
    except ClientError as error:
        typer.echo(f"sipflow: {error}", err=True)
        return error.status


def print_status(client: Client, *, json: bool) -> int:
    """Print how the edge is; 1 where something is not well."""
    found = client.get("/v2/status")
    well = found["ready"] and not _troubled(found["trunks"])
    if json:
        _dump(found)
        return 0 if well else NOT_FOUND
    calls = found["calls"]
    up = timedelta(seconds=int(found["uptime_s"]))
    _say(f"sipflow {found['version']} at {client.url}, up for {up}: {'ready' if found['ready'] else 'not ready'}")
    waiting = f", {calls['waiting']} waiting" if calls["waiting"] else ""
    _say(
        f"{calls['live']} calls: {calls['inbound']} in, {calls['outbound']} out, {calls['answered']} answered{waiting}"
    )
    rows = [(each["name"], "ok" if each["ok"] else "not ok", each["why"]) for each in found["checks"]]
    _table(("check", "", "why"), rows)
    if found["trunks"]:
        _print_states(found["trunks"])
    _say(
        f"numbers: {found['numbers']}, agents: {found['agents']}; {found['sip_messages']} SIP messages, "
        f"{found['sip_retransmissions']} repeated; audio at most {found['pacer_p99_ms']} ms late (99 of 100 packets); "
        f"{found['faults']} faults"
    )
    return 0 if well else NOT_FOUND


def print_trunks(client: Client, *, json: bool) -> int:
    """Print every trunk; 1 where a registration has failed or a far end is down."""
    trunks = client.every("/v2/trunks", "trunks")
    states = {each["name"]: each for each in client.get("/v2/status")["trunks"]}
    lines = [{**each, "state": states.get(each["name"])} for each in trunks]
    if json:
        _dump(lines)
    elif not lines:
        _say("there are no trunks yet: add some under `trunks:` in the configuration")
    else:
        _table(("trunk", "where", "registration", "far end", "why"), [_trunk_row(each) for each in lines])
    return NOT_FOUND if _troubled(list(states.values())) else 0


def print_numbers(client: Client, *, json: bool) -> int:
    """Print every number and who answers it."""
    numbers = client.every("/v2/numbers", "phone_numbers")
    agents = client.every("/v2/assistants", "assistants")
    inbound = {number: each["model_id"] for each in agents if each["type"] == "inbound" for number in _numbers_of(each)}
    if json:
        _dump([{**each, "agent": inbound.get(each["number"], "")} for each in numbers])
    elif not numbers:
        _say("there are no numbers yet: add some under `numbers:` in the configuration")
    else:
        rows = [
            (each["number"], each["friendly_name"] or "", inbound.get(each["number"], ""), *_registration(each))
            for each in numbers
        ]
        _table(("number", "name", "answered by", "registration", "why"), rows)
    return 0


def print_agents(client: Client, *, json: bool) -> int:
    """Print every agent and its numbers."""
    agents = client.every("/v2/assistants", "assistants")
    if json:
        _dump(agents)
    elif not agents:
        _say("there are no agents yet: add some under `agents:` in the configuration")
    else:
        rows = [
            (
                each["model_id"],
                each["name"] if each["name"] != each["model_id"] else "",
                each["type"],
                each["handler"],
                ", ".join(_numbers_of(each)),
            )
            for each in agents
        ]
        _table(("agent", "name", "type", "handler", "numbers"), rows)
    return 0


def print_trace(client: Client, call: str, *, full: bool, json: bool, pcap: Path | None, evidence: Path | None) -> int:
    """Print the ladder of a call, or write what there is of it into files; 1 where nothing is kept of it."""
    call_id = _last(client) if call == LAST else call
    for path, kind in ((pcap, "pcap"), (evidence, "evidence")):
        if path is not None:
            _write(path, client.file(f"/v2/calls/{call_id}/{kind}"))
    found = client.get(f"/v2/calls/{call_id}/trace")
    if json:
        _dump(found)
    elif pcap is None and evidence is None:
        _print_ladder(client, found, full=full)
    return 0 if found["messages"] else NOT_FOUND


def _print_ladder(client: Client, found: dict[str, Any], *, full: bool) -> None:
    _say(f"call {found['call_id']}")
    if not full or not found["messages"]:
        _say(client.text(f"/v2/calls/{found['call_id']}/trace", format="text").rstrip())
        return
    for each in found["messages"]:
        again = " (again)" if each["repeated"] else ""
        _say(f"--- {each['after_s']:.3f} s  {each['source']} -> {each['target']}  {each['label']}{again}")
        _say(each["text"].replace("\r\n", "\n").rstrip() + "\n")


def _last(client: Client) -> str:
    calls = client.get("/v2/calls", limit=1)["calls"]
    if not calls:
        raise ClientError("there has been no call yet", NOT_FOUND)
    return str(calls[0]["call_id"])


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror}", UNAVAILABLE) from None
    _say(f"{path}: {len(content)} bytes")


def _troubled(trunks: Sequence[dict[str, Any]]) -> bool:
    return any(each["registration"] == "failed" or each["far_end"] == "down" for each in trunks)


def _print_states(trunks: Sequence[dict[str, Any]]) -> None:
    rows = [(each["name"], each["registration"], _far_end(each), each["why"]) for each in trunks]
    _table(("trunk", "registration", "far end", "why"), rows)


def _trunk_row(line: dict[str, Any]) -> tuple[str, ...]:
    state = line["state"] or {"far_end": "", "round_trip_ms": None}
    settings = line["settings"]
    where = line["outbound_proxy"] or line["sip_domain"] or ", ".join(settings.get("accept_from") or ())
    registration = line["registration"]
    return line["name"], where, registration["state"], _far_end(state), registration["why"] or ""


def _far_end(state: dict[str, Any]) -> str:
    took = f" ({state['round_trip_ms']:.0f} ms)" if state["round_trip_ms"] is not None else ""
    return f"{state['far_end']}{took}"


def _registration(number: dict[str, Any]) -> tuple[str, str]:
    registration = number["registration"] or {"state": "", "why": ""}
    return registration["state"], registration["why"] or ""


def _numbers_of(agent: dict[str, Any]) -> list[str]:
    return [str(each["number"]) for each in agent["attached_phone_numbers"] or ()]


def _dump(value: object) -> None:
    typer.echo(json_module.dumps(value, indent=2))


def _say(text: str) -> None:
    typer.echo(_plain(text))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: coloured and as wide as the screen where somebody looks, else plain, a line for each row."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE, no_color=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    used = [place for place, head in enumerate(heads) if any(row[place] for row in rows)]
    for place in used:
        last = place == len(heads) - 1
        table.add_column(heads[place], overflow="fold" if last else "ellipsis", no_wrap=not last)
    for row in rows:
        cells = [_plain(row[place]) for place in used]
        table.add_row(*(Text(cell, style=_STYLES.get(cell.partition(" (")[0], "")) for cell in cells))
    console.print(table)


def _plain(text: str) -> str:
    """Let nothing through that a terminal would obey: much of it was written by strangers."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
