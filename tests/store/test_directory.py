"""The directory: what is declared and what is created live together, and changes are whole."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sipflow.errors import AgentError, Conflict, LocalProtocolError, NotFound, SipflowError, StoreError
from sipflow.numbers.inventory import Number
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from sipflow.store.entries import AgentEntry
from sipflow.store.settings import Settings
from tests.interop.programs import Program
from tests.store.directories import (
    DECLARED,
    LOCAL,
    OPTION,
    OTHER,
    OURS,
    PASSWORD,
    PBX,
    UNUSED,
    declare,
    directory,
    opened,
    sqlite_database,
)

__all__ = ["directory", "sqlite_database"]
READ_ONLY = "is declared in sipflow.yaml, and so cannot be changed over the API: change it there, and send SIGHUP"
CLIENTS = 200


async def agent(directory: Directory, kind: str = "inbound", name: str = "Reception") -> str:
    return (await directory.add_agent(name=name, type=kind, handler="echo")).model_id


# What there is


async def test_number_may_use_a_trunk_that_is_there(directory: Directory) -> None:
    made = await directory.add_number(OURS, trunk="local")

    assert made.trunk_fields is not None
    assert (made.trunk, made.trunk_fields.username, made.trunk_fields.password) == ("local", "desk", "")
    assert made.has_password
    assert list(directory.trunks) == ["local"]


async def test_lists_give_declared_ones_first_then_by_age_in_pages(directory: Directory) -> None:
    for number in (OTHER, OURS):
        await directory.add_number(number, UNUSED)
    await directory.attach("echo", [OURS])

    def listed(is_available: bool | None = None, limit: int | None = None, offset: int = 0) -> tuple[int, list[str]]:
        total, entries = directory.list_numbers(is_available=is_available, limit=limit, offset=offset)
        return total, [entry.number for entry in entries]

    assert listed() == (4, [DECLARED, "200", OTHER, OURS])
    assert listed(limit=2, offset=1) == (4, ["200", OTHER])
    assert listed(is_available=True) == (2, ["200", OTHER])
    assert listed(is_available=False, limit=1) == (2, [DECLARED])
    assert [entry.model_id for entry in directory.list_agents()[1]] == ["echo", "caller"]
    assert [entry.name for entry in directory.list_trunks(limit=2)[1]] == ["local", OTHER]
    assert [directory.agent(name).type for name in ("echo", "caller")] == ["inbound", "outbound"]


async def test_what_is_not_there_is_said_so(directory: Directory) -> None:
    for look in (directory.number, directory.agent, directory.trunk):
        with pytest.raises(NotFound, match=r"there is no .* '1202'"):
            look("1202")


# Restarts


async def test_everything_created_is_there_after_a_restart(store_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(store_settings, folder=tmp_path)
    before = await opened(database)
    await before.add_number(OURS, PBX, friendly_name="Line 4", limits={"max_calls": 3})
    await before.add_trunk("backup", replace(UNUSED, more={"codecs": ["PCMA"], "outbound": {"ring_s": 20}}))
    await before.add_number(OTHER, trunk="backup")
    made = await before.add_agent(
        name="Reception", type="inbound", handler="echo", options={"api_key": OPTION}, fields={"agent": {"x": 1}}
    )
    await before.attach(made.model_id, [OURS])
    await before.attach("caller", [OURS, OTHER])
    await before.change_number(OURS, friendly_name="Line 5")
    await database.close()

    database = await Database.open(store_settings, folder=tmp_path)
    after = await opened(database)
    await database.close()

    assert after.number(OURS) == before.number(OURS)
    assert (after.number(OURS).friendly_name, after.number(OURS).limits) == ("Line 5", {"max_calls": 3})
    assert (after.number(OURS).inbound_agent, after.number(OURS).outbound_agents) == (made.model_id, ("caller",))
    assert after.number(OTHER) == before.number(OTHER)
    assert after.agent(made.model_id) == before.agent(made.model_id)
    assert after.agent(made.model_id).options == {"api_key": OPTION}
    assert after.trunks == before.trunks
    assert list(after.numbers) == list(before.numbers)


async def test_nothing_answered_is_lost_when_the_process_is_killed(sqlite_settings: Settings, tmp_path: Path) -> None:
    program = Program(
        "a directory", [sys.executable, "-m", "tests.store.adding", sqlite_settings.url], tmp_path / "adding.log"
    )
    program.wait_for(r"^\+12065550140$")
    program.kill()
    answered = [line for line in program.output.splitlines() if line.startswith("+1206")]

    database = await Database.open(sqlite_settings, folder=tmp_path)
    after = await opened(database)
    await database.close()

    assert len(answered) >= 40
    assert [number for number in answered if after.number(number).inbound_agent != "echo"] == []


# One owner


@pytest.mark.parametrize("processes", [1, 2])
async def test_two_hundred_who_attach_one_number_at_once_end_with_one_owner(
    database: Database, store_settings: Settings, tmp_path: Path, processes: int
) -> None:
    one = await opened(database)
    await one.add_number(OURS, UNUSED)
    names = [await agent(one, name=f"agent {index}") for index in range(CLIENTS)]
    second = await Database.open(store_settings, folder=tmp_path) if processes == 2 else None
    directories = [one, await opened(second)] if second is not None else [one]

    ended = await asyncio.gather(
        *(directories[index % processes].attach(name, [OURS]) for index, name in enumerate(names)),
        return_exceptions=True,
    )

    winners = [outcome.model_id for outcome in ended if isinstance(outcome, AgentEntry)]
    for each in directories:
        await each.refresh()
    after = await opened(database)
    if second is not None:
        await second.close()
    assert len(winners) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in ended) == CLIENTS - 1
    assert [each.number(OURS).agents for each in (*directories, after)] == [(winners[0],)] * (processes + 1)
    assert after.numbers_of(winners[0]) == (OURS,)


async def test_loser_is_told_who_has_the_number(directory: Directory) -> None:
    await directory.add_number(OURS, UNUSED)
    first, second = await agent(directory), await agent(directory)
    await directory.attach(first, [OURS])

    with pytest.raises(Conflict) as refusal:
        await directory.attach(second, ["12065550111"])

    sentence = f"the number {OURS} is answered by agent {first} already; detach it from that agent first"
    assert str(refusal.value) == sentence


async def test_all_numbers_are_attached_or_none(directory: Directory) -> None:
    for number in (OURS, OTHER):
        await directory.add_number(number, UNUSED)
    first, second = await agent(directory), await agent(directory)
    await directory.attach(first, [OTHER])

    with pytest.raises(Conflict):
        await directory.attach(second, [OURS, OTHER])
    with pytest.raises(NotFound):
        await directory.attach(second, [OURS, "+12065550199"])

    assert directory.numbers_of(second) == ()
    assert directory.number(OURS).is_available


async def test_one_number_has_any_number_of_outbound_agents(directory: Directory) -> None:
    await directory.add_number(OURS, UNUSED)
    callers = [await agent(directory, "outbound") for _ in range(3)]
    for name in [*callers, *callers]:
        await directory.attach(name, [OURS])
    await directory.attach("echo", [OURS])

    assert directory.number(OURS).agents == ("echo", *callers)
    assert directory.numbers_of(callers[0], "outbound") == (OURS,)
    assert directory.numbers_of(callers[0], "inbound") == ()


async def test_agent_of_another_type_has_its_numbers_in_the_other_role(directory: Directory) -> None:
    for number in (OURS, OTHER):
        await directory.add_number(number, UNUSED)
    name = await agent(directory, "outbound")
    await directory.attach(name, [OURS])
    changed = await directory.change_agent(name, type="inbound")
    rival = await agent(directory, "outbound")
    await directory.attach(rival, [OURS])

    with pytest.raises(Conflict, match=f"answered by agent {name} already"):
        await directory.change_agent(rival, type="inbound")

    assert changed.type == "inbound"
    assert (directory.number(OURS).inbound_agent, directory.number(OURS).outbound_agents) == (name, (rival,))
    assert directory.agent(rival).type == "outbound"


async def test_widgets_have_no_numbers(directory: Directory) -> None:
    await directory.add_number(OURS, UNUSED)
    widget = await agent(directory, "widget")

    with pytest.raises(LocalProtocolError, match="of type widget, which has no phone numbers"):
        await directory.attach(widget, [OURS])


async def test_detached_number_is_free(directory: Directory) -> None:
    await directory.add_number(OURS, UNUSED)
    first, second = await agent(directory), await agent(directory)
    await directory.attach(first, [OURS])
    await directory.detach(first, "12065550111")
    await directory.attach(second, [OURS])

    with pytest.raises(NotFound, match=f"agent {first} does not have the number"):
        await directory.detach(first, OURS)

    assert directory.number(OURS).agents == (second,)


async def test_removing_an_agent_or_a_number_detaches_it(directory: Directory) -> None:
    for number in (OURS, OTHER):
        await directory.add_number(number, PBX)
    name = await agent(directory)
    await directory.attach(name, [OURS, OTHER])
    await directory.remove_number(OURS)
    assert directory.numbers_of(name) == (OTHER,)
    await directory.remove_agent(name)

    assert directory.number(OTHER).agents == ()
    assert (OURS in directory.trunks, OTHER in directory.trunks) == (False, True)
    with pytest.raises(NotFound):
        directory.agent(name)


# What is declared


async def test_declared_things_are_read_only(directory: Directory) -> None:
    ours = await agent(directory)
    changes = [
        (directory.add_number(DECLARED, UNUSED), f"the number {DECLARED} {READ_ONLY}"),
        (directory.change_number(DECLARED, friendly_name="x"), f"the number {DECLARED} {READ_ONLY}"),
        (directory.remove_number("12065550100"), f"the number {DECLARED} {READ_ONLY}"),
        (directory.add_trunk("local", UNUSED), f"the trunk local {READ_ONLY}"),
        (directory.change_trunk("local", {"username": "x"}), f"the trunk local {READ_ONLY}"),
        (directory.remove_trunk("local"), f"the trunk local {READ_ONLY}"),
        (directory.change_agent("echo", name="x"), f"the agent echo {READ_ONLY}"),
        (directory.remove_agent("echo"), f"the agent echo {READ_ONLY}"),
        (directory.detach("echo", DECLARED), f"that agent echo has the number {DECLARED} {READ_ONLY}"),
        (directory.attach(ours, [DECLARED]), f"that agent echo answers the number {DECLARED} {READ_ONLY}"),
    ]  # fmt: skip
    for change, sentence in changes:
        with pytest.raises(Conflict) as refusal:
            await change
        assert str(refusal.value) == sentence


async def test_declared_number_without_agent_may_get_one(directory: Directory) -> None:
    name = await agent(directory)
    await directory.attach(name, ["200"])
    caller = await agent(directory, "outbound")
    await directory.attach(caller, [DECLARED])

    assert directory.numbers.get("200") == Number("200", inbound_agent=name, outbound_agents=("caller",))
    assert directory.number(DECLARED).outbound_agents == (caller,)


async def test_reload_keeps_what_was_created(directory: Directory) -> None:
    await directory.add_number(OURS, PBX)
    name = await agent(directory)
    await directory.attach(name, [OURS, "200"])
    before = directory.number(OURS)
    age = directory.number(DECLARED).created_at
    numbers = [Number(DECLARED, inbound_agent="other"), Number("201")]
    directory.declare(trunks={"local": LOCAL}, numbers=numbers, agents=[("other", "echo", {})], where="sipflow.yaml")

    assert directory.number(OURS) == before
    assert (directory.number(DECLARED).inbound_agent, directory.number(DECLARED).created_at) == ("other", age)
    assert list(directory.agents) == ["other", name]
    with pytest.raises(NotFound):
        directory.number("200")
    declare(directory)
    assert directory.number("200").inbound_agent == name


async def test_declared_thing_hides_a_created_one_until_it_is_gone(
    directory: Directory, capsys: pytest.CaptureFixture[str]
) -> None:
    await directory.add_number(OURS, PBX, friendly_name="created")
    number = Number(OURS, friendly_name="declared", trunk=OURS)
    directory.declare(trunks={OURS: replace(LOCAL, name=OURS)}, numbers=[number], agents=[])
    said = capsys.readouterr().out
    shown, trunk = directory.number(OURS), directory.trunks[OURS]
    declare(directory)

    assert (shown.friendly_name, shown.declared, trunk.username) == ("declared", True, "desk")
    assert "the configuration declares a number that the API created, too; the declared one counts" in said
    assert directory.number(OURS).friendly_name == "created"
    assert directory.trunks[OURS].username == "2001"


async def test_number_of_an_agent_that_is_gone_from_the_configuration_is_free(directory: Directory) -> None:
    await directory.add_number(OURS, UNUSED)
    await directory.attach("echo", [OURS])
    directory.declare(trunks={}, numbers=[], agents=[])
    name = await agent(directory)

    assert directory.number(OURS).is_available
    await directory.attach(name, [OURS])
    assert directory.number(OURS).agents == (name,)


# Changes


async def test_number_that_is_there_is_refused(directory: Directory) -> None:
    await directory.add_number(OURS, UNUSED)
    await directory.add_number("4711", replace(UNUSED, provider_name="zoom"))

    with pytest.raises(Conflict, match="is imported already"):
        await directory.add_number("+1 (206) 555-0111", UNUSED)
    with pytest.raises(Conflict, match="would have the same slug as 4711"):
        await directory.add_number("+4711", replace(UNUSED, provider_name="zoom"))


async def test_trunk_changes_and_goes_when_nobody_uses_it(directory: Directory) -> None:
    await directory.add_trunk("backup", PBX)
    await directory.add_number(OURS, trunk="backup")
    changed = await directory.change_trunk("backup", {"sip_domain": "sip.example.net"})

    with pytest.raises(Conflict, match=f"the trunk backup is used by {OURS.replace('+', '.')}"):
        await directory.remove_trunk("backup")
    with pytest.raises(LocalProtocolError, match=r"^sip_domain: "):
        await directory.change_trunk("backup", {"sip_domain": "?"})
    await directory.remove_number(OURS)
    await directory.remove_trunk("backup")

    assert changed.fields == replace(PBX, password="", sip_domain="sip.example.net")
    assert list(directory.trunks) == ["local"]


async def test_change_that_fails_leaves_nothing_behind(directory: Directory, sqlite_database: Database) -> None:
    await directory.add_number(OURS, PBX)
    told: list[bool] = []
    directory.on_change = lambda: told.append(True)
    before = directory.number(OURS)
    with pytest.raises(LocalProtocolError):
        await directory.change_number(OURS, {"outbound_proxy": "a b"}, trunk="", friendly_name="x")

    again = await opened(sqlite_database)
    assert directory.number(OURS) == again.number(OURS) == before
    assert directory.trunks == again.trunks
    assert told == []


async def test_every_change_is_told_once(directory: Directory) -> None:
    told: list[int] = []
    directory.on_change = lambda: told.append(len(directory.numbers))
    await directory.add_number(OURS, PBX)
    name = await agent(directory)
    await directory.attach(name, [OURS])
    await directory.remove_number(OURS)

    assert told == [3, 3, 3, 2]


async def test_another_process_is_seen_when_asked_for_and_when_something_changes(
    directory: Directory, sqlite_settings: Settings, tmp_path: Path
) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    other = await opened(database)
    await other.add_number(OURS, UNUSED)
    refreshed = [await directory.refresh(), await directory.refresh()]
    name = await agent(other)
    await directory.attach(name, [OURS])
    await database.close()

    assert refreshed == [True, False]
    assert directory.number(OURS).agents == (name,)


# Agents


class Picky:
    """Takes agents whose handler is `echo`, and says that the reception takes over from every desk."""

    async def check(self, agent: AgentEntry, agents: object) -> None:
        if agent.handler != "echo":
            raise AgentError(f"agent {agent.model_id}: cannot import {agent.handler}")

    def needed_by(self, model_id: str, agents: dict[str, AgentEntry]) -> tuple[str, ...]:
        return tuple(key for key, each in agents.items() if each.name == "desk" and key != model_id)


async def test_agent_that_cannot_be_loaded_is_refused(directory: Directory) -> None:
    directory.check = Picky()  # type: ignore[assignment]
    name = await agent(directory)

    with pytest.raises(LocalProtocolError, match=r"^handler: cannot import nowhere:run$"):
        await directory.add_agent(name="x", type="inbound", handler="nowhere:run")
    with pytest.raises(LocalProtocolError, match=r"^handler: cannot import nowhere:run$"):
        await directory.change_agent(name, handler="nowhere:run")

    assert list(directory.agents) == ["echo", "caller", name]
    assert directory.agent(name).handler == "echo"


async def test_agent_that_another_needs_cannot_be_removed(directory: Directory) -> None:
    directory.check = Picky()  # type: ignore[assignment]
    name, desk = await agent(directory), await agent(directory, name="desk")

    with pytest.raises(Conflict, match=f"takes over from {desk}"):
        await directory.remove_agent(name)


async def test_agents_fields_change_one_by_one_and_options_as_a_whole(directory: Directory) -> None:
    made = await directory.add_agent(
        name="x", type="inbound", handler="echo", options={"a": 1, "b": 2}, fields={"max_duration": 30, "agent": {}}
    )
    changed = await directory.change_agent(made.model_id, options={"a": 3}, fields={"max_duration": None})

    assert (changed.options, changed.fields) == ({"a": 3}, {"max_duration": None, "agent": {}})
    assert (changed.name, changed.created_at) == ("x", made.created_at)


# Secrets, and the store itself


async def test_no_secret_is_in_the_file_in_an_entry_or_in_an_error(
    directory: Directory, sqlite_database: Database, tmp_path: Path
) -> None:
    await directory.add_number(OURS, PBX)
    await directory.add_trunk("backup", PBX)
    made = await directory.add_agent(name="x", type="inbound", handler="echo", options={"api_key": OPTION, "rate": 2})
    errors = []
    for change in (
        directory.add_number(OURS, PBX),
        directory.add_trunk("other", replace(PBX, username="")),
        directory.change_agent(made.model_id, options={"api_key": OPTION, "x": object()}),
    ):
        with pytest.raises(SipflowError) as refusal:
            await change
        errors.append(repr(refusal.value))
    shown = repr(
        (*directory.list_numbers(), *directory.list_trunks(), *directory.list_agents(), directory.trunks, errors)
    )
    files = _everything_in(tmp_path)

    assert b"pbx.example.com" in files
    assert [secret for secret in (PASSWORD, OPTION) if secret in shown or secret.encode() in files] == []
    assert made.shown_options == {"api_key": "***", "rate": 2}


async def test_without_store_what_is_declared_works_and_nothing_can_be_changed() -> None:
    closed = Directory()
    declare(closed)

    assert (closed.is_open, len(closed.numbers), list(closed.trunks)) == (False, 2, ["local"])
    with pytest.raises(StoreError, match="the store is not open"):
        await closed.add_number(OURS, UNUSED)
    with pytest.raises(StoreError, match="has no store"):
        await closed.load()


def test_directory_is_there_before_the_databases_library() -> None:
    program = "import sys, sipflow.store.directory; print('sqlalchemy' in sys.modules)"
    assert asyncio.run(_said(program)) == "False"


def _everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def _said(program: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    return (await process.communicate())[0].decode().strip()
