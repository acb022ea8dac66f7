import asyncio
from dataclasses import replace

from sipflow.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, build_compound, parse_compound
from tests.media.stage import Stage


async def test_a_report_leaves_by_itself_when_it_is_due() -> None:
    async with Stage() as stage:
        rtcp = stage.another_peer()
        stage.session.update(replace(stage.agreed(), remote_rtcp_port=rtcp.port))
        stage.pacer.now += 3600  # the timer was set for later; what is due is due at the next one
        reporting = stage.session._reporting
        assert reporting.reports is not None
        reporting.reports.due_at = stage.pacer.now
        if reporting._timer is not None:
            reporting._timer.cancel()
        reporting._arm()
        await asyncio.sleep(0.2)

        assert isinstance(parse_compound(rtcp.socket.recv(2048))[0], ReceiverReport)


async def test_with_one_port_for_both_reports_go_where_the_audio_goes() -> None:
    async with Stage() as stage:
        stage.session.update(replace(stage.agreed(), rtcp_mux=True))
        stage.tick()
        stage.peer.socket.recv(2048)
        stage.session._reporting._report()

        assert isinstance(parse_compound(stage.peer.socket.recv(2048))[0], SenderReport)


async def test_a_peer_behind_nat_gets_reports_beside_its_audio() -> None:
    async with Stage() as stage:
        nat = stage.another_peer()
        stage.say(1, 2, 3, 4, peer=nat)

        assert stage.session._reporting._target() == (nat.host, nat.port + 1)


async def test_a_stream_that_flows_nowhere_is_not_reported_on() -> None:
    async with Stage() as stage:
        stage.session.update(stage.held())
        stage.session._reporting._report()

        assert stage.session.statistics().rtcp_sent == 0


async def test_who_never_reported_says_no_goodbye_and_who_did_says_it_once() -> None:
    async with Stage() as stage:
        rtcp = stage.another_peer()
        stage.session.update(replace(stage.agreed(), remote_rtcp_port=rtcp.port))
        stage.session._reporting._report()
        stage.session.close()
        stage.session.close()
        rtcp.socket.recv(2048)

        assert isinstance(parse_compound(rtcp.socket.recv(2048))[-1], Goodbye)
        assert rtcp.received() == []


async def test_what_is_no_rtcp_is_counted() -> None:
    async with Stage() as stage:
        for data in (b"", b"x" * 7, b"\x80\xc9\x00\x09" + bytes(4), b"\x80" + bytes(40)):
            stage.session._reporting.take(data)
        stage.session._reporting.take(build_compound([Goodbye((7,))]))

        statistics = stage.session.statistics()
        assert (statistics.malformed, statistics.rtcp_received) == (4, 1)
