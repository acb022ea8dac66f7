from dataclasses import dataclass
from pathlib import Path

import pytest

from sipflow.agents.fallback import fall_back
from sipflow.agents.spec import HandOver
from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.calls.call import Call
from sipflow.calls.ending import Word
from sipflow.testing import FakeCall, run


@dataclass(frozen=True)
class Options:
    fallback: str = ""
    fallback_file: str = ""
    fallback_status: int = 503


async def left_by_its_bot(options: Options) -> tuple[FakeCall, HandOver | None]:
    """Have a call that is not answered yet lose its bot."""
    after: list[HandOver | None] = []

    async def agent(call: Call) -> None:
        after.append(await fall_back(call, options, what="stream", why="the bot is gone"))

    call = FakeCall()
    await run(agent, call)
    return call, after[0]


async def test_the_agent_that_takes_over_gets_the_call_as_it_is() -> None:
    call, after = await left_by_its_bot(Options(fallback="desk"))

    assert (call.word, after) == (None, HandOver("desk", "the bot is gone"))


@pytest.mark.parametrize("status", [503, 486])
async def test_without_one_the_caller_is_refused_with_the_reason(status: int) -> None:
    call, after = await left_by_its_bot(Options(fallback_status=status))

    assert call.ending is not None
    assert (call.rejected, call.word, call.ending.why, after) == (status, Word.AGENT_FAILED, "the bot is gone", None)


async def test_a_file_is_played_after_answering_and_then_the_call_is_ended(tmp_path: Path) -> None:
    file, tone = tmp_path / "sorry.wav", sine(440, 100)
    file.write_bytes(wav_header(len(tone)) + tone)
    call, after = await left_by_its_bot(Options(fallback_file=str(file)))

    assert (call.answered, call.played_ms, call.word, after) == (True, 100, Word.AGENT_FAILED, None)
