"""Agents created at run time: checked before they are taken in, and given to the runner."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipflow.agents.conduct import Conduct
from sipflow.agents.spec import AgentSpec
from sipflow.daemon.created import HandlerCheck, spec_of, specs_of
from sipflow.errors import AgentError, LocalProtocolError
from sipflow.store.entries import AgentEntry

AT = datetime(2026, 11, 21, tzinfo=UTC)
STREAM = {"url": "ws://127.0.0.1:1/media", "dialect": "twilio"}


def agent(
    handler: str = "echo", options: Mapping[str, Any] | None = None, *, key: str = "1", **fields: Any
) -> AgentEntry:
    return AgentEntry(key, "Desk", "inbound", handler, options or {}, fields, False, AT)


async def checked(folder: Path, entry: AgentEntry, *others: AgentEntry) -> None:
    agents = {each.model_id: each for each in (*others, entry)}
    await HandlerCheck(folder).check(entry, agents)


def test_runner_gets_options_with_paths_from_the_folder_and_conduct_from_the_fields(tmp_path: Path) -> None:
    entry = agent("announce", {"file": "a.wav", "repeat": 2}, max_duration=30, pool="sales", max_calls=3, other="x")

    assert spec_of(entry, tmp_path) == AgentSpec(
        "1",
        "announce",
        {"file": str(tmp_path / "a.wav"), "repeat": 2},
        conduct=Conduct(max_duration_s=30.0),
        pool="sales",
        max_calls=3,
    )
    assert spec_of(agent("mine:run", {"file": "a.wav"}), tmp_path).options == {"file": "a.wav"}


def test_only_created_agents_are_made_and_fields_that_stopped_working_are_left_out(tmp_path: Path) -> None:
    made = specs_of([replace(agent(), declared=True), agent(key="2"), agent(key="3", max_duration="long")], tmp_path)

    assert made == [AgentSpec("2", "echo"), AgentSpec("3", "echo")]


async def test_agent_that_works_is_taken(tmp_path: Path) -> None:
    bot = agent("stream", {**STREAM, "fallback": "2"})
    for entry, others in ((agent(), ()), (bot, (agent(key="2"),))):
        await checked(tmp_path, entry, *others)
    with pytest.raises(AgentError, match="its fallback 2 is no agent"):
        await checked(tmp_path, bot)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (agent("no_such_module:run"), "cannot import no_such_module"),
        (agent("announce", {"file": "no.wav"}), "no.wav"),
        (agent("announce"), "announce needs `file`"),
        (agent("dance"), "handler 'dance' is none of"),
        (agent("stream", {**STREAM, "fallback": "9"}), "its fallback 9 is no agent"),
        (agent("stream", {**STREAM, "fallback": "1"}), "its fallback ends in itself: 1 -> 1"),
    ],
)
async def test_agent_that_cannot_work_is_refused(tmp_path: Path, entry: AgentEntry, sentence: str) -> None:
    with pytest.raises(AgentError) as refusal:
        await checked(tmp_path, entry)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"max_duration": -1}, "max_duration: "),
        ({"pool": 3}, "pool: it is the name of a pool"),
        ({"max_calls": 0}, "max_calls: it is a whole number above 0"),
        ({"max_calls": True}, "max_calls: it is a whole number above 0"),
    ],
)
async def test_field_that_cannot_work_is_named(tmp_path: Path, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        await checked(tmp_path, agent(**fields))

    assert str(refusal.value).startswith(sentence)


def test_agents_that_fall_back_on_one_need_it(tmp_path: Path) -> None:
    agents = {"1": agent(), "2": agent("stream", {**STREAM, "fallback": "1"}, key="2"), "3": agent(key="3")}

    assert HandlerCheck(tmp_path).needed_by("1", agents) == ("2",)
    assert HandlerCheck(tmp_path).needed_by("2", agents) == ()
