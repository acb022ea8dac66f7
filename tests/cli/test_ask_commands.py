"""The options of the commands that ask: what is wrong with them is said with the right exit status."""

from pathlib import Path

import pytest

from sipflow.cli.ask_commands import _guarded
from sipflow.errors import ClientError, ConfigError, LocalProtocolError, SipflowError, StoreError, TransportError
from tests.cli.conftest import Sipflow


@pytest.mark.parametrize(
    ("error", "other", "status"),
    [
        (LocalProtocolError("wrong"), 69, 2),
        (ConfigError("wrong"), 69, 78),
        (StoreError("locked"), 69, 69),
        (TransportError("no socket"), 5, 5),
        (ClientError("not good for it", 77), 69, 77),
    ],
)
def test_each_failure_has_its_exit_status_and_one_line(
    error: SipflowError, other: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert _guarded(fail, other=other) == status
    assert capsys.readouterr().err == f"sipflow: {error}\n"


@pytest.mark.parametrize("command", [["explain"], ["trunk", "test"], ["firewall"], ["load"]])
def test_help_has_an_example_and_the_exit_statuses(command: list[str], sipflow: Sipflow) -> None:
    shown = sipflow(*command, "--help")

    assert shown.exit_code == 0
    assert f"Example: sipflow {' '.join(command)}" in shown.stdout
    assert "Exit status: 0" in shown.stdout


@pytest.mark.parametrize(
    "command", [["explain", "--to", "1", "--offline", "-c"], ["trunk", "test", "pbx", "-c"], ["firewall"]]
)
def test_configuration_that_is_not_there_is_78(command: list[str], sipflow: Sipflow, tmp_path: Path) -> None:
    result = sipflow(*command, str(tmp_path / "none.yaml"))

    assert (result.exit_code, result.stdout) == (78, "")
