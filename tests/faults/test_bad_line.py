"""A call over a line that loses one datagram in ten and makes the others up to 110 ms late."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.faults.bad_line import BadLine
from tests.interop.daemon import ANSWERED, Caller, CallReport, Daemon
from tests.interop.programs import require

_TALK = ("--seconds", "3")
_MOST_LOST = 0.4  # of the audio; one in ten both ways is meant, and what comes after its turn is lost as well


def stands(report: CallReport) -> None:
    """The call was answered, heard, and ended by us."""
    media = report.media
    assert (report.exit_status, report.status, report.why) == (0, 200, "we hung up"), report.report
    assert media["packets_received"] > 0
    assert 0 < media["lost"] < _MOST_LOST * (media["packets_received"] + media["lost"]), media
    assert media["opinion"] is not None
    assert media["jitter_ms"] > 5


async def test_a_call_stands_and_is_heard_through_loss_and_jitter(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        async with BadLine(daemon.port) as line:
            with Caller(tmp_path / "call.log", f"sip:{ANSWERED}@127.0.0.1:{line.port}", *_TALK) as caller:
                report = await asyncio.to_thread(caller.finish)
            await asyncio.to_thread(daemon.wait_said, "^call over")
        (over,) = daemon.said("^call over")

    stands(report)
    assert line.carried > 300
    assert 0.05 < line.lost / line.carried < 0.15
    assert (over["by"], over["word"]) == ("remote", "hung_up")


def namespace(name: str) -> None:
    """Make a network namespace whose loopback is a bad line; the test is skipped where the kernel cannot."""
    ip, tc = require("ip", "iproute2"), require("tc", "iproute2")
    inside = [ip, "netns", "exec", name]
    for command in (
        [ip, "netns", "add", name],
        [*inside, ip, "link", "set", "lo", "up"],
        [*inside, tc, "qdisc", "add", "dev", "lo", "root", "netem", "loss", "10%", "delay", "60ms", "50ms"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no bad line in a namespace here: {' '.join(command[-9:])}: {done.stderr.strip()}")


def test_a_call_stands_through_loss_and_jitter_of_the_kernels_own(tmp_path: Path) -> None:
    name = f"sipflow-{os.getpid()}"
    try:
        namespace(name)
        prefix = [require("ip", "iproute2"), "netns", "exec", name]
        with (
            Daemon(tmp_path, prefix=prefix) as daemon,
            Caller(tmp_path / "call.log", daemon.uri(), *_TALK, prefix=prefix) as caller,
        ):
            report = caller.finish()
    finally:
        subprocess.run([require("ip", "iproute2"), "netns", "delete", name], capture_output=True)

    stands(report)
