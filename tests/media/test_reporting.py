import asyncio
from dataclasses import replace

from sipflow.errors import MediaError
from sipflow.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, build_compound, parse_compound
from sipflow.rtp.source import ReceptionReport
from sipflow.sdp.agreement import Codec
from tests.media.stage import START, Stage


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


async def test_reports_go_on_while_a_stream_is_on_hold() -> None:
    async with Stage() as stage:
        stage.session.update(stage.held())
        stage.session._reporting._report()

        assert stage.session.statistics().rtcp_sent == 1


async def test_nothing_is_reported_to_a_peer_that_named_no_address() -> None:
    async with Stage() as stage:
        for mux in (False, True):
            nowhere = replace(stage.agreed(), remote_host="0.0.0.0", remote_rtcp_port=0, rtcp_mux=mux)
            stage.session.update(nowhere)
            stage.session._reporting._report()

        assert stage.session.statistics().rtcp_sent == 0


async def test_a_report_that_cannot_be_encrypted_is_not_sent_and_the_ports_are_given_back() -> None:
    def refuse(packet: bytes) -> bytes:
        raise MediaError("no")

    async with Stage() as stage:
        stage.session._reporting._report()
        stage.session._reporting.protect = refuse
        stage.session.close()

        assert stage.session.statistics().rtcp_sent == 1
        assert stage.ports.counts(now=0.0).lent == 0


async def test_after_a_change_of_codec_the_peers_jitter_is_read_in_the_new_clock() -> None:
    async with Stage() as stage:
        opus = Codec("opus", 48000, 2, 111)
        stage.session.update(replace(stage.agreed(), codec=opus, send_payload_type=111, receive_payload_type=111))
        block = ReceptionReport(START.ssrc, 0, 0, 1, 480)
        stage.session._reporting.take(build_compound([ReceiverReport(7, (block,))]))

        assert stage.session.statistics().remote_jitter_ms == 10.0


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
