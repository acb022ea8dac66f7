"""The daemon as it is, in a process that also answers questions about itself on standard input.

`figures` gives one line of JSON with everything that could leak and everything that is timed; `collect` collects
garbage and counts all objects, too. `pace` gives what is timed alone, which holds up no call, and `reset` does that and
begins a new measurement of it.
"""

import asyncio
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import uvloop

from sipflow.daemon.daemon import Daemon
from sipflow.daemon.loading import load_configuration
from sipflow.daemon.logs import set_up_logs
from sipflow.trunks.outputs import RegistrationState


def figures(daemon: Daemon) -> dict[str, float]:
    """Count everything of a running daemon."""
    edge = daemon.edge
    statistics = [call.statistics for call in edge.switchboard.calls.values()]
    ports = edge.desk.counts()
    return {
        **edge.ua.counts,
        "calls": len(edge.switchboard.calls),
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "lent": sum(count.lent for count in ports),
        "registered": sum(state.state is RegistrationState.REGISTERED for state in daemon.registrations.states()),
        "unwritten": daemon.storage.writer.waiting if daemon.storage.writer is not None else 0,
        "faults": edge.endpoint.faults + edge.tasks.failures,
        **pace(daemon),
        "received": sum(one.packets_received for one in statistics if one is not None),
        "lost": sum(one.lost for one in statistics if one is not None),
        "sent": sum(one.packets_sent for one in statistics if one is not None),
        "dry": sum(one.dry for one in statistics if one is not None),
        "skipped_ms": sum(one.skipped_ms for one in statistics if one is not None),
    }


def pace(daemon: Daemon) -> dict[str, float]:
    """Say how punctual the packets were."""
    pacer = daemon.edge.desk.pacer
    return {
        "ticks": pacer.lateness.count,
        "within_5_ms": pacer.lateness.within(5.0),
        "late_999_ms": pacer.lateness.percentile(99.9),
        "late_worst_ms": pacer.lateness.worst_ms,
        "skipped": pacer.skipped,
    }


async def run(daemon: Daemon) -> None:
    """Run the daemon until SIGTERM, and answer meanwhile."""
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _answer, daemon)
    await daemon.run()


def _answer(daemon: Daemon) -> None:
    asked = os.read(sys.stdin.fileno(), 4096).decode()
    if not asked:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    for question in asked.split():
        sys.stdout.write(json.dumps(_reply(daemon, question)) + "\n")
        sys.stdout.flush()


def _reply(daemon: Daemon, question: str) -> dict[str, Any]:
    counted = pace(daemon) if question in ("pace", "reset") else figures(daemon)
    if question == "collect":
        gc.collect()
        counted["objects"] = len(gc.get_objects())  # without those that were frozen at the start
    if question == "reset":
        daemon.edge.desk.pacer.lateness.reset()
        daemon.edge.desk.pacer.skipped = 0
    return counted


def main(file: Path) -> None:
    """Serve a configuration."""
    configuration = load_configuration(file)
    set_up_logs(configuration.log.level, configuration.log.format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(Daemon(file, configuration)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
