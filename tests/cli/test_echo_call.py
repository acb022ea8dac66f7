"""A call to an echo, as it happens."""

from pathlib import Path

import pytest

from sipflow.calls.echo_findings import EchoCall
from sipflow.cli.echo_call import call_echo
from sipflow.cli.trunk_probe import make_edge
from sipflow.config.load import parse
from sipflow.errors import LocalProtocolError
from tests.cli.conftest import NUMBERS
from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.free_ports import free_media_ports, free_sip_port


async def called(port: int, number: str, *, ring_s: float = 10.0, more: str = "") -> EchoCall:
    media = free_media_ports(20)
    configuration = parse(
        f"trunks: {{far: {{sip_domain: '127.0.0.1:{port}'{more}}}}}\nagents: {{echo: {{handler: echo}}}}\n"
        f"media: {{ports: {media.start}-{media.stop - 1}, bind: 127.0.0.1}}\nsip: {{listen: [udp:127.0.0.1:5060]}}\n",
        environ={},
    )
    probe = make_edge(configuration, configuration.trunks["far"], patience_s=2.0)
    await probe.edge.open()
    try:
        return await call_echo(probe, number, ring_s=ring_s)
    finally:
        await probe.edge.close()


async def test_echo_is_heard_pressed_held_and_said_goodbye_to(daemon: Daemon) -> None:
    found = await called(daemon.port, ANSWERED)

    assert found.tone_dbfs == pytest.approx(-12, abs=1.5)
    assert (found.digits, found.answers, found.goodbye) == ("as events in RTP (RFC 4733), payload type 101", 1, True)
    assert found.held == 0
    assert found.after_hold > 10
    assert found.session.endswith(("uac", "uas"))
    assert found.media.codec == "PCMU"


async def test_digit_goes_the_way_of_the_trunk(daemon: Daemon) -> None:
    assert (await called(daemon.port, ANSWERED, more=", dtmf: info")).digits == "in SIP INFO, and the far end took it"


@pytest.mark.parametrize(("name", "status"), [("busy", 486), ("ring", 408)])
async def test_call_that_is_not_answered_says_why(daemon: Daemon, name: str, status: int) -> None:
    found = await called(daemon.port, NUMBERS[name], ring_s=0.4)

    assert (found.setup_ms, found.status, bool(found.why)) == (None, status, True)


async def test_far_end_that_hangs_up_at_once_ends_the_test(daemon: Daemon) -> None:
    found = await called(daemon.port, NUMBERS["short"])

    assert (found.status, found.why) == (487, "the far end hung up")


async def test_nobody_there_is_503(tmp_path: Path) -> None:
    found = await called(free_sip_port(), "600")

    assert (found.setup_ms, found.status) == (None, 503)


async def test_what_is_no_number_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(LocalProtocolError):
        await called(free_sip_port(), "mailto:x@y")
