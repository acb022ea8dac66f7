import subprocess
from pathlib import Path

import pytest

from tests.interop.daemon import SIPFLOW

COMMANDS = ("status", "trunks", "numbers", "agents", "trace")


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SIPFLOW, *words], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_what_the_exit_status_means(command: str, tmp_path: Path) -> None:
    shown = run(command, "--help", folder=tmp_path).stdout

    assert f"Example: sipflow {command}" in shown
    assert "Exit status: 0" in shown
    assert "--json" in shown


def test_without_a_daemon_they_say_so_and_exit_with_69(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("api: {listen: '127.0.0.1:1', tokens: [a-token-long-enough]}\n")
    done = run("status", "-c", "s.yaml", folder=tmp_path)

    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("sipflow: http://127.0.0.1:1 cannot be reached: ")
