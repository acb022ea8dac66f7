"""What broke in other SIP stacks, rows 23 to 35: media, the outside world, scanners and clocks. One test a row."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.message
import pytest
from structlog.testing import capture_logs

from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall
from sipflow.errors import LocalProtocolError, TransportError
from sipflow.net.acl import Networks
from sipflow.net.resolver import Resolver
from sipflow.net.settings import DnsSettings
from sipflow.net.settings import Settings as NetSettings
from sipflow.net.trace import mask
from sipflow.rtp.packet import header
from sipflow.rtp.srtp import SrtpSession
from sipflow.rtp.telephone_event import encode_event
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms
from sipflow.sip.headers.scalars import parse_expires, parse_retry_after
from sipflow.sip.ids import Ids
from sipflow.sip.message import Response
from sipflow.sip.uri import SipUri
from sipflow.store.database import Database
from sipflow.store.settings import Settings as StoreSettings
from sipflow.trunks.grant import Sought, read_grant
from sipflow.webhooks.addresses import Guard
from tests.api.stage import Stage as ApiStage
from tests.calls.outstage import outgoing, refuses, tries
from tests.media.stage import Stage, heard, speech, waiting
from tests.net.certificates import Certificates
from tests.net.dns_server import DnsServer, dns_server
from tests.net.fakes import listen
from tests.net.test_tls import failure, peer, trusting
from tests.security.peers import SDP, STRANGER, alive, edge, knocker, sip
from tests.support.calls import answered, calling

KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"o" * 30, b"t" * 30)


async def test_row_23_rtp_of_a_stranger_is_neither_heard_nor_answered() -> None:
    async with Stage() as stage:
        stranger = stage.another_peer()
        early = stage.session.frames()
        for n in range(1, 6):
            stranger.send(stage.port, n, speech(99), ssrc=666)
        stage.read()
        stage.say(1, 2, 3)
        for n in range(1, 60):
            stranger.send(stage.port, n, speech(99), ssrc=666)
        stage.read()
        stage.say(4)
        frames = await waiting(early)
        stage.tick(2)

        assert frames[-2:] == [heard(3), heard(4)]
        assert frames.count(heard(99)) <= 5  # of what came before the peer did
        assert stranger.received() == []


async def test_row_24_unauthenticated_srtp_is_dropped_and_counted_and_ends_nothing() -> None:
    theirs = SrtpSession(replace(KEYS, send_key=KEYS.receive_key, receive_key=KEYS.send_key))
    async with Stage() as stage:
        stage.session.update(replace(stage.agreed(), srtp=KEYS))
        reader = stage.session.frames()
        for n in range(200):
            stage.peer.send_raw(stage.port, header(0, n, 160 * n, 9) + speech(99) + os.urandom(10))
        stage.read()
        for n in range(10):
            stage.peer.send_raw(stage.port, theirs.protect(header(0, n, 160 * n, 7) + speech(n)))
            stage.tick()
        frames = await waiting(reader)

        assert stage.session.statistics().unauthentic == 200
        assert heard(99) not in frames
        assert [heard(n) for n in range(2, 9) if heard(n) not in frames] == []


async def test_row_25_a_strangers_dtls_hello_does_not_win_the_race() -> None:
    dtls = pytest.importorskip("tests.media.test_dtls")
    ours, theirs, stranger = dtls.End(dtls.HERE), dtls.End(dtls.THERE), dtls.End(dtls.ELSEWHERE)
    network = dtls.Network(ours, theirs, stranger)
    network.start(ours, dtls.OURS, DtlsTerms(False, (dtls.THEIRS.fingerprint,)), dtls.THERE)
    network.start(stranger, dtls.STRANGER, DtlsTerms(True, (dtls.OURS.fingerprint,)), dtls.HERE)
    network.start(theirs, dtls.THEIRS, DtlsTerms(True, (dtls.OURS.fingerprint,)), dtls.HERE)
    await dtls.until(lambda: ours.keys and theirs.keys)
    dtls.close(ours, theirs, stranger)

    assert ours.keys[0][1] == dtls.THERE
    assert stranger.keys == []

    ours, theirs, stranger = dtls.End(dtls.HERE), dtls.End(dtls.THERE), dtls.End(dtls.ELSEWHERE)
    network = dtls.Network(ours, theirs, stranger)
    network.start(stranger, dtls.STRANGER, DtlsTerms(True, (dtls.OURS.fingerprint,)), dtls.HERE)
    network.start(ours, dtls.OURS, DtlsTerms(True, (dtls.THEIRS.fingerprint,)), dtls.THERE)  # it is for us to begin
    network.start(theirs, dtls.THEIRS, DtlsTerms(False, (dtls.OURS.fingerprint,)), dtls.HERE)
    await dtls.until(lambda: ours.keys and theirs.keys)
    dtls.close(ours, theirs, stranger)

    assert ours.keys[0][1] == dtls.THERE
    assert {to for _, to in ours.sent} == {dtls.THERE}


async def test_row_26_forged_rtcp_byes_garbage_and_digits_have_no_effect() -> None:
    digits: list[str] = []
    async with Stage(on_digit=digits.append) as stage:
        stranger = stage.another_peer()
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        for sender in (stage.peer, stranger):
            sender.send_raw(stage.port + 1, b"\x81\xcb\x00\x01" + (7).to_bytes(4, "big"))
            sender.send_raw(stage.port + 1, os.urandom(200))
            sender.send_raw(stage.port, b"\x80")
            sender.send_raw(stage.port, b"")
        for n in range(4, 20):
            stranger.send(stage.port, n, encode_event("5")[0].payload, payload_type=101)
        stage.read()
        stage.say(4)

        assert await waiting(reader) == [heard(1), heard(2), heard(3), heard(4)]
        assert digits == []


async def test_row_27_nobody_makes_us_connect_to_where_he_likes() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["169.254.169.254"]

    guard = Guard(allowed=Networks(()), allow_http=True, resolve=resolve)
    for host in ("127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "fd00::1", "metadata.example.com"):
        with pytest.raises(TransportError, match="webhooks may not reach it"):
            await guard.addresses(host, 80)
    for url in ("file:///etc/passwd", "http://user:x@h/", "gopher://h/", "http://127.0.0.1\\@h/"):
        with pytest.raises(LocalProtocolError):
            guard.check(url)
    async with edge() as stage:
        with knocker(stage) as caller:
            refer = sip("REFER", Refer_To="<sip:127.0.0.1:22>", Referred_By="<sip:x@y>")
            named = SDP.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 evil.example.com")
            found = [
                await caller.ask(refer),
                await caller.ask(sip(body=named)),
                await caller.ask(sip(Replaces="1;to-tag=a;from-tag=b")),
            ]
        sent_to = [
            call.media.agreed.remote_host
            for call in stage.callee.switchboard.calls.values()
            if call.media and call.media.agreed
        ]
    async with outgoing(refuses(302, Contact="<sip:root@127.0.0.99:22>")) as out:
        record = await out.over(out.order())

    assert found[0] in (405, 603)
    assert (found[1], sent_to[0]) == (200, "0.0.0.0")  # the name is not looked up: nothing is sent before it sends
    assert found[2] in (200, 481, 603)
    assert tries(record)[0][2].endswith("(outbound.redirects: same_host)")


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("other_host", "its certificate is for another name"),
        ("expired", "its certificate has expired"),
        ("stranger", "we do not trust the authority of its certificate"),
    ],
)
async def test_row_28_a_far_end_that_cannot_prove_its_name_gets_nothing(
    certificates: Certificates, which: str, why: str
) -> None:
    async with peer(getattr(certificates, which)) as hop:
        assert why in await failure(trusting(certificates), hop)
    assert NetSettings().tls.verify
    assert NetSettings().tls.minimum_version == "1.2"


class Forger(DnsServer):
    """Sends a forged answer with another id before its own."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        forged = dns.message.make_response(query)
        forged.id = (query.id + 1) & 0xFFFF
        for rrset in dns.message.from_text(f"id 1\n;ANSWER\n{query.question[0].name} 60 IN A 6.6.6.6\n").answer:
            forged.answer.append(rrset)
        assert self._transport is not None
        self._transport.sendto(forged.to_wire(), addr)
        super().datagram_received(data, addr)


async def test_row_29_forged_dns_answers_are_ignored_and_ids_cannot_be_guessed() -> None:
    async with dns_server({("pbx.example.com", "A"): ["192.0.2.1"]}) as server:
        server.__class__ = Forger
        resolver = Resolver(
            NetSettings(listen=listen("udp:0.0.0.0:0"), dns=DnsSettings(servers=(f"127.0.0.1:{server.port}",)))
        )
        hops = await resolver.resolve(SipUri("sip", None, None, "pbx.example.com", 5060, (("transport", "udp"),)))
        await resolver.close()
    ids = Ids(os.urandom)
    minted = {mint() for mint in (ids.tag, ids.branch, ids.token) for _ in range(1000)}

    assert [hop.host for hop in hops] == ["192.0.2.1"]
    assert len(minted) == 3000
    assert all(len(each.removeprefix("z9hG4bK")) >= 16 for each in minted)


async def test_row_30_no_route_of_the_api_answers_without_a_token_that_is_for_it(api: ApiStage) -> None:
    reader = {"Authorization": f"Bearer {await api.token('agents:read')}"}
    nobody = {"Authorization": "Bearer nothing-of-the-sort"}
    found: dict[int, set[str]] = {}
    for path, operations in api.app.openapi()["paths"].items():
        for method in operations:
            for headers in ({"Authorization": ""}, nobody):
                answer = await api.client.request(method, path.replace("{", "").replace("}", ""), headers=headers)
                found.setdefault(answer.status_code, set()).add(path)
            if method != "get":
                answer = await api.client.request(
                    method, path.replace("{", "").replace("}", ""), headers=reader, json={}
                )
                found.setdefault(answer.status_code, set()).add(path)

    open_to_all = {"/healthz", "/readyz", "/v2/health", "/metrics", "/v2/recordings/{name}"}  # see each one's own tests
    assert {path for status in found.keys() - {401, 403} for path in found[status]} <= open_to_all
    assert {path for path in found[200] if path not in ("/healthz", "/v2/health", "/readyz")} == set()
    huge = await api.client.post("/v2/assistants", content=b"x" * 20_000_000)
    assert huge.status_code == 413


async def test_row_31_an_agent_that_blocks_for_300_ms_makes_others_stutter_and_is_counted() -> None:
    async def blocks(call: InboundCall) -> None:
        await call.answer()
        if call.variables.get("X-Blocks"):
            time.sleep(0.3)  # noqa: ASYNC251  (it is the fault)
            await call.ended()
        await call.play(sine(440, 1000))
        await call.ended()

    async with edge(agent=blocks) as stage:
        other = await stage.call()
        await asyncio.sleep(0.2)
        blocking = await stage.call(headers=(("X-Blocks", "yes"),))
        await asyncio.sleep(1.0)
        heard, skipped = other.statistics, stage.callee.desk.pacer.skipped
        for call in (blocking, other):
            await call.hangup()
            await call.ended()

        assert heard is not None
        assert (heard.lost, stage.callee.endpoint.faults) == (0, 0)
        assert heard.packets_received >= 25  # it went on after that
        assert skipped > 0  # and was counted


def modes(folder: Path) -> dict[str, int]:
    """What others than the owner may do with each file of a folder."""
    return {file.name: file.stat().st_mode & 0o077 for file in folder.iterdir()}


async def test_row_32_files_with_secrets_are_ours_alone_and_traces_show_none(tmp_path: Path) -> None:
    database = await Database.open(StoreSettings(), folder=tmp_path)
    await database.close()
    message = (
        'INVITE sip:a:pw-in-uri@b SIP/2.0\r\nAuthorization: Digest username="u", response="secret-proof"\r\n'
        "Proxy-Authorization: Bearer secret-token\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secretkey\r\n"
    )

    shown = mask(message)
    assert set(modes(tmp_path).values()) == {0}
    assert [each for each in ("secret-proof", "secret-token", "secretkey", "pw-in-uri") if each in shown] == []


async def test_row_33_the_noise_of_scanners_touches_no_real_call() -> None:
    async with edge() as stage:
        real = await stage.call()
        with knocker(stage, STRANGER) as scanner, capture_logs() as lines:
            for number in range(3000):
                scanner.send(sip(source=STRANGER, uri=f"sip:{number}@127.0.0.1", User_Agent="friendly-scanner"))
                if not number % 100:
                    await asyncio.sleep(0)
            await scanner.statuses()
        alive_still = real.ending is None
        await real.hangup()
        await real.ended()
        await stage.quiet()

        assert (alive_still, len(stage.kept.records), len(stage.agent.calls)) == (True, 1, 1)
        said = [line["event"] for line in lines if line["log_level"] == "warning"]
        assert said == ["stranger scanner from 127.0.0.66 by udp: friendly-scanner: shut out for 600 s"]
        assert await alive(stage)


def test_row_34_a_second_fork_and_a_late_200_are_acknowledged_and_hung_up() -> None:
    wire, _, bob, _ = answered()
    bob.reply(bob.request("INVITE"), 200, tag="other-fork", body=SDP)
    wire.play()
    late_wire, late, late_bob, usage = calling()
    late_bob.reply(late_bob.request("INVITE"), 180)
    late_wire.play()
    late.hang_up(usage)
    late_wire.play()
    late_bob.reply(late_bob.request("INVITE"), 200, body=SDP)
    late_wire.play()

    assert [name for name in wire.methods() if name in ("a ACK", "a BYE")] == ["a ACK", "a ACK", "a BYE"]
    sent = [name for name in late_wire.methods() if name in ("a CANCEL", "a ACK", "a BYE")]
    assert sent == ["a CANCEL", "a ACK", "a BYE"]


async def test_row_35_absurd_times_are_clamped_and_never_spin_or_overflow() -> None:
    granted = []
    for value in ("0", "1", "4294967296", "9" * 400, "-5", "1e9", "٣"):
        response = Response(200, "OK")
        response.headers.add("Contact", f"<sip:2001@192.0.2.1:5060;line=t>;expires={value}")
        granted.append(read_grant(response, Sought("2001", "t", ("192.0.2.1", 5060), 300)).expires_s)
        parse_expires(value)
        parse_retry_after(value)
    async with edge() as stage:
        with knocker(stage) as caller:
            absurd: list[dict[str, Any]] = [
                {"Session_Expires": "4294967296", "Supported": "timer"},
                {"Session_Expires": "9" * 400, "Supported": "timer"},
                {"Min_SE": "9" * 400, "Session_Expires": "90", "Supported": "timer"},
                {"Session_Expires": "0", "Supported": "timer"},
                {"Expires": "9" * 400},
            ]
            found = [await caller.ask(sip(body=SDP, **each)) for each in absurd]
        for call in list(stage.callee.switchboard.calls.values()):
            call.end("the test is over")

        assert all(5 <= expires <= 86_400 for expires in granted)
        assert set(found) <= {200, 400, 422}
        assert stage.callee.endpoint.faults == 0
