"""Agents that leave work behind: what sipflow lends them it takes back, and it ends when it is told to."""

from pathlib import Path

from tests.faults.knock import Knock
from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.waiting import wait_until

_OTHER = "+12065550101"
_AGENTS = "tests.faults.agents"


def called(daemon: Daemon, number: str = ANSWERED) -> bool:
    """Call, and hang up if it is answered."""
    with Knock(daemon.port, number) as caller:
        return caller.invite().status == 200 and caller.ask("BYE").status in (200, 481)


def test_agents_that_never_return_or_forget_their_tasks_keep_neither_ports_nor_the_process(tmp_path: Path) -> None:
    agents = {name: {"handler": f"{_AGENTS}:{name}"} for name in ("never_returns", "leaves_tasks")}
    numbers = {ANSWERED: "never_returns", _OTHER: "leaves_tasks"}
    with Daemon(
        tmp_path,
        ports=2,  # room for one call
        agents=agents,
        numbers={number: {"trunk": "local", "inbound_agent": agent} for number, agent in numbers.items()},
    ) as daemon:
        assert called(daemon)
        wait_until(lambda: called(daemon, _OTHER), "another call, on the same ports", evidence=daemon.program.tail)
        daemon.wait_said("call over", count=2)
        status = daemon.program.terminate()
        (going_on,) = daemon.said("tasks go on although they were cancelled")
        (left,) = daemon.said("what agents left behind")

    assert status == 0
    (agent,) = going_on["tasks"]
    assert agent.startswith("agent never_returns of call ")
    assert sorted(name.rpartition(" ")[2] for name in left["left"]) == ["(Runner._run)", "(never_done)"]
