import asyncio
import time
from pathlib import Path

import pytest

from sipflow.audio.wav import read_wav
from sipflow.errors import PortsExhausted
from sipflow.media.desk import MediaDesk
from sipflow.media.ports import PortCounts
from sipflow.media.recording import WavFile
from sipflow.media.settings import Settings
from sipflow.rtp.rtcp import ReceiverReport, SourceDescription, build_compound
from tests.media.stage import Stage, free_ports, until


async def test_sessions_share_ports_and_pacer() -> None:
    low = free_ports(8)
    desk = MediaDesk(Settings(port_low=low, port_high=low + 7, bind_host="127.0.0.1", drain_s=0.0))

    first, second = desk.open(ipv6=False), desk.open(ipv6=False)

    assert first.pair.port != second.pair.port
    assert desk.counts() == [PortCounts(lent=2, draining=0, free=2, taken=0)]
    first.close()
    second.close()
    await desk.close()


async def test_the_other_address_family_has_a_pool_of_its_own() -> None:
    desk = MediaDesk(Settings(port_low=23000, port_high=23099, bind_host="127.0.0.1"))

    session = desk.open(ipv6=True)

    assert session.pair.rtp.getsockname()[0] == "::"
    session.close()
    await desk.close()


async def test_no_free_port_is_exhaustion() -> None:
    low = free_ports(2)
    desk = MediaDesk(Settings(port_low=low, port_high=low + 1, bind_host="127.0.0.1"))
    session = desk.open(ipv6=False)

    with pytest.raises(PortsExhausted):
        desk.open(ipv6=False)

    session.close()
    await desk.close()


async def test_closing_waits_for_recordings_to_be_finished_and_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = WavFile.write

    def slowly(file: WavFile, sound: bytes) -> None:
        time.sleep(0.05)
        write(file, sound)

    monkeypatch.setattr(WavFile, "write", slowly)
    desk = MediaDesk(Settings(port_low=23000, port_high=23099, bind_host="127.0.0.1"))
    session = desk.open(ipv6=False)
    recording = await session.record(tmp_path / "a.wav")
    for _ in range(50 * 3):
        recording.sent(bytes(320))
    session.close()
    beats = 0
    closing = asyncio.ensure_future(desk.close())
    while not closing.done():
        beats += 1
        await asyncio.sleep(0.005)

    assert beats > 10
    assert len(read_wav((tmp_path / "a.wav").read_bytes()).pcm) == 50 * 3 * 320
    await recording.stop()


async def test_what_the_far_end_reports_in_the_first_second_is_read_after_it() -> None:
    low = free_ports(8)
    desk = MediaDesk(Settings(port_low=low, port_high=low + 7, bind_host="127.0.0.1", drain_s=0.0))
    async with Stage() as stage:
        lasting, short = desk.open(ipv6=False), desk.open(ipv6=False)
        for session in (lasting, short):
            session.start(stage.agreed())
            report = build_compound([ReceiverReport(7, ()), SourceDescription(7, "there")])
            stage.peer.socket.sendto(report, ("127.0.0.1", session.pair.rtcp_port))
        watched_at_once = len(desk.pacer.poller)
        short.close()

        await until(lambda: lasting.statistics().rtcp_received)

        assert (watched_at_once, len(desk.pacer.poller)) == (2, 2)  # one socket of each, then both of the one
        assert short.statistics().rtcp_received == 0
        lasting.close()
    await desk.close()
