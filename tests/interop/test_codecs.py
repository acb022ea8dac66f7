"""baresip speaks every codec with the echo agent, both ways round, and hears its own voice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.daemon import AGENTS, ANSWERED, Caller, Daemon
from tests.interop.phone import TONE_DBFS, Phone

ALL = ["opus", "G722", "L16", "L16/8000", "PCMA", "PCMU"]
WIDE = [("opus/48000/1", "opus"), ("G722/16000/1", "G722"), ("L16/16000/1", "L16"), ("L16/8000/1", "L16")]
_ENOUGH = 75  # packets: a second and a half


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(
        tmp_path_factory.mktemp("daemon"),
        trunks={"local": {"accept_from": ["127.0.0.0/8"], "codecs": ALL}},
        numbers={ANSWERED: {"trunk": "local", "inbound_agent": "echo"}},
        agents={"echo": {"handler": f"{AGENTS}:measured_echo"}},
    )
    with daemon:
        yield daemon


@pytest.mark.parametrize(("offered", "name"), WIDE)
def test_a_phone_with_one_codec_hears_itself_in_it(offered: str, name: str, daemon: Daemon, tmp_path: Path) -> None:
    with Phone(tmp_path, codec=offered) as phone:
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")
        phone.wait_heard(_ENOUGH)
        phone.quit()

        assert phone.heard_dbfs() == pytest.approx(TONE_DBFS, abs=1)
    heard = daemon.wait_said("^heard")[-1]
    assert (heard["codec"], heard["lost"], heard["unexpected"]) == (name, 0, 0)


@pytest.mark.parametrize(("answered", "name"), WIDE)
def test_a_phone_that_is_called_answers_with_the_codec_it_has(answered: str, name: str, tmp_path: Path) -> None:
    options = [option for codec in ALL for option in ("--codec", codec)]
    with (
        Phone(tmp_path / "phone", codec=answered) as phone,
        Caller(tmp_path / "call.log", phone.uri, "--tone", "440", "--seconds", "600", *options) as caller,
    ):
        phone.wait_event("CALL_ESTABLISHED")
        phone.wait_heard(_ENOUGH)
        phone.quit()
        report = caller.finish()

        assert phone.heard_dbfs(440) > -20
    assert report.media["codec"] == name
