"""What broke in other SIP stacks, rows 11 to 22: bodies, injection, digests, strangers and fraud. One test a row."""

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sipflow.calls.recorder import Recorder
from sipflow.calls.recorder import Settings as RecordingSettings
from sipflow.calls.toll_rules import TollSettings
from sipflow.calls.tolls import Tolls
from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sdp.agreement import Capabilities, LocalMedia
from sipflow.sdp.offer_answer import answer_offer
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.headers.lines import write_line
from sipflow.sip.message import Request, Response, make_response
from sipflow.tasks import Tasks
from sipflow.trunks.settings import InboundAuth
from tests.calls.outstage import answers, outgoing
from tests.calls.stage import NUMBER
from tests.security.peers import KNOWN, SDP, STRANGER, edge, knocker, messages_of, settled, sip

ASKED = 'Digest realm="pbx.example.com", nonce="n", qop="auth", algorithm=SHA-256'
GUARDED = replace(KNOWN, inbound_auth=InboundAuth(username="desk", password="open sesame", realm="edge"))


_HEAD = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
_AUDIO = b"m=audio 9 RTP/AVP 0\r\n"
# What each offer is answered with: 200 where its oddity is ignored, as if the line were not there.
_DESCRIPTIONS: tuple[tuple[int, bytes], ...] = (
    (488, _HEAD + b"m=audio 9 RTP/AVP 65535\r\n"),
    (400, _HEAD + b"m=audio 99999999 RTP/AVP 0\r\n"),
    (400, _HEAD + b"m=audio 65536 RTP/AVP 0\r\n"),
    (400, _HEAD + b"m=audio -1 RTP/AVP 0\r\n"),
    (200, _HEAD + _AUDIO + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n" * 200),
    (400, _HEAD + _AUDIO + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n" * 300),
    (400, _HEAD + _AUDIO * 300),
    (488, _HEAD + b"m=audio 9 RTP/AVP 96\r\na=fmtp:96 0/0/0/0\r\n"),
    (200, _HEAD + _AUDIO + b"a=ptime:0\r\na=maxptime:-1\r\na=rtpmap:0 PCMU/0\r\n"),
    (488, _HEAD + b"m=audio 9 RTP/AVP 96\r\na=rtpmap:96 PCMU/0\r\n"),
    (200, _HEAD + _AUDIO + b"a=ptime:" + b"9" * 5000 + b"\r\n"),
    (400, _HEAD + b"m=audio 9 RTP/AVP " + b"0 " * 3000 + b"\r\n"),
    (200, _HEAD + _AUDIO + b"a=rtcp:99999999999999\r\n"),
    (400, _HEAD + b"m=audio\r\n"),
    (400, _HEAD + b"m=\r\n"),
    (400, _HEAD + _AUDIO + b"c=IN IP4 \r\n"),
    (200, _HEAD + _AUDIO + b"c=IN IP6 127.0.0.1\r\n"),
    (200, _HEAD + _AUDIO + b"a=candidate:" + b"1 " * 4000 + b"\r\n"),
    (400, _HEAD + _AUDIO + b"a=candidate:" + b"1 " * 4097 + b"\r\n"),
    (400, _HEAD + _AUDIO + b"\r\n" * 5000),
    (400, _HEAD + (b"i=" + b"x" * 30 + b"\r\n") * 2000 + _AUDIO),
    (488, b"v=0\r\n"),
    (400, b"\xff" * 500),
    (400, b"=" * 5000),
    (400, _AUDIO * 9),
)  # fmt: skip


def verdict(offer: bytes) -> int:
    """The status that an offer is answered with by the pure part."""
    local = LocalMedia(address="127.0.0.1", rtp_port=4000, rtcp_port=4001, session_id=1, version=1)
    try:
        answer_offer(offer, local, Capabilities())
    except RemoteProtocolError as error:
        return error.status
    return 200


async def test_row_11_hostile_sdp_is_refused_or_its_attribute_ignored_and_costs_little() -> None:
    slowest, verdicts = 0.0, []
    for _, offer in _DESCRIPTIONS:
        began = time.process_time()
        verdicts.append(verdict(offer))
        slowest = max(slowest, time.process_time() - began)
    assert verdicts == [status for status, _ in _DESCRIPTIONS]
    assert slowest < 0.1  # 20 ms on an idle machine
    async with edge() as stage:
        with knocker(stage) as peer:
            fitting = [(status, offer) for status, offer in _DESCRIPTIONS if len(offer) < 40_000]
            found = [await peer.ask(sip(body=offer)) for _, offer in fitting]
        for call in list(stage.callee.switchboard.calls.values()):
            call.end("the test is over")

        assert found == [status for status, _ in fitting]
        assert stage.callee.endpoint.faults == 0


def multipart(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--") -> bytes:
    return b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s%s\r\n" % (boundary, end)


def multiparts() -> list[tuple[int, bytes, str]]:
    """Bodies with a session description somewhere: what they are answered with, and what they call themselves."""
    known, mixed = b"Content-Type: application/sdp\r\n\r\n" + SDP, "multipart/mixed;boundary=b"
    nested = known
    for level in range(600):
        name = b"b%d" % level
        nested = b"Content-Type: multipart/mixed;boundary=%s\r\n\r\n" % name + multipart(nested, boundary=name)
    return [
        (200, multipart(known), mixed),
        (200, multipart(b"Content-Type: multipart/mixed;boundary=c\r\n\r\n" + multipart(known, boundary=b"c")), mixed),
        (415, multipart(nested), mixed),
        (415, b"--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" * 800, mixed),
        (200, multipart(*[b"\r\nx"] * 15, known), mixed),
        (415, multipart(*[b"\r\nx"] * 16, known), mixed),
        (415, multipart(known, end=b""), mixed),
        (415, b"--b--\r\n", mixed),
        (415, b"--b\r\n\r\n--b--", mixed),
        (415, multipart(b"X: " + b"y" * 3000 + b"\r\n" + known), mixed),
        (415, multipart(known, boundary=b""), 'multipart/mixed;boundary=""'),
        (415, multipart(known), "multipart/mixed"),
        (415, multipart(known, boundary=b"c" * 71), "multipart/mixed;boundary=" + "c" * 71),
        (400, multipart(known), "multipart/"),
        (400, SDP, "a/b/c"),
    ]


async def test_row_12_multipart_bodies_nested_or_empty_end_no_process() -> None:
    wanted = multiparts()
    async with edge() as stage:
        with knocker(stage) as peer:
            found = [await peer.ask(sip(body=body, Content_Type=kind)) for _, body, kind in wanted]
        for call in list(stage.callee.switchboard.calls.values()):
            call.end("the test is over")

        assert found == [status for status, _, _ in wanted]
        assert stage.callee.endpoint.faults == 0


async def test_row_13_a_space_before_the_colon_is_the_same_header_and_other_controls_are_refused() -> None:
    async with edge() as stage:
        with knocker(stage) as peer:
            same = [
                sip(body=SDP, without="Call-ID", more=line) for line in (b"Call-ID : 1@x\r\n", b"Call-ID\t: 2@x\r\n")
            ]
            smuggled = [
                b"X-A\x0b: 1\r\n",
                b"X-A\x00: 1\r\n",
                b"X-A: 1\r2\r\n",
                b"X-A: 1\nTo: x\r\n",
                b"\x0cX: 1\r\n",
                b"X-A: a\x00b\r\n",
            ]
            answered = [await peer.ask(each) for each in same]
            refused = [await peer.ask(sip(body=SDP, more=line)) for line in smuggled]
        for call in list(stage.callee.switchboard.calls.values()):
            call.end("the test is over")

    assert (answered, refused) == ([200, 200], [400] * 6)


@pytest.mark.parametrize("wrong", ["a\r\nX-B: 1", "a\nX-B: 1", "a\rb", "a\0b"])
async def test_row_14_nothing_that_we_write_can_hold_a_line_end_or_nul(wrong: str) -> None:
    request = messages_of(sip())
    with pytest.raises(LocalProtocolError):
        request.headers.add("X-A", wrong)
    with pytest.raises(LocalProtocolError):
        write_line(wrong, "a")
    async with outgoing(answers) as stage:
        for order in ({"headers": {"X-A": wrong}}, {"headers": {wrong: "a"}}, {"to": f"+1206555{wrong}"}):
            with pytest.raises(LocalProtocolError):
                stage.order(**order)

        assert stage.calls["a"].calls == []


async def test_row_15_what_callers_write_is_data_in_logs_records_and_paths(tmp_path: Path) -> None:
    evil = (
        "%2e%2e%2f..%2f<script>alert(1)</script>'%3b DROP TABLE calls--".replace("<", "%3c")
        .replace(">", "%3e")
        .replace(" ", "%20")
    )
    async with edge() as stage:
        with knocker(stage) as peer, capture_logs() as lines:
            assert await peer.ask(sip(body=SDP, From=f"<sip:{evil}@x>;tag=1", Call_ID="../../etc/passwd")) == 200
        (call,) = stage.callee.switchboard.calls.values()
        kept = Recorder(RecordingSettings(folder=str(tmp_path)), Tasks())._new_path(call)
        call.end("the test is over")

        assert re.fullmatch(r"[0-9a-z]{16,40}", call.id)
        assert kept.resolve().is_relative_to(tmp_path)
        assert ".." not in str(kept)
        assert "<script>" in call.caller
        said = [str(value) for line in lines if line["log_level"] != "debug" for value in line.values()]
        assert all(value.isprintable() for value in said)


def challenge(realm: str = "edge", algorithm: str = "SHA-256", status: int = 401) -> Response:
    request = messages_of(sip("BYE"))
    assert isinstance(request, Request)
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    value = f'Digest realm="{realm}", nonce="n", qop="auth", algorithm={algorithm}'
    return make_response(request, status, headers=[(name, value)])


async def test_row_16_a_challenge_is_answered_for_the_configured_realm_alone_and_never_to_a_caller() -> None:
    client = DigestClient([Account("desk", "open sesame", "pbx.example.com")], cnonce=lambda: "c")
    assert client.authorize(challenge("evil.example.com"), method="BYE", uri="sip:x@y", body=b"") == []

    answered = []
    for realm in (None, "pbx.example.com"):
        registered = replace(KNOWN, username="desk", password="open sesame", realm=realm)
        async with edge(trunk=registered) as stage:
            with knocker(stage) as caller:
                caller.send(sip(body=SDP, Contact=f"<sip:caller@127.0.0.1:{caller.port}>"))
                while (taken := await caller.response()).status < 200:
                    pass
                same: dict[str, Any] = {name: taken.headers.get(name) for name in ("From", "To", "Call-ID")}
                caller.send(sip("ACK", **same))
                next(iter(stage.callee.switchboard.calls.values())).end("the test is over")
                bye = await caller.heard("BYE")
                assert bye is not None
                caller.send(bytes(make_response(bye, 407, headers=[("Proxy-Authenticate", ASKED)])))
                again = await caller.heard("BYE")
                if again is not None:
                    caller.send(bytes(make_response(again, 200)))
                answered.append(again is not None and "Proxy-Authorization" in again.headers)
                assert "Proxy-Authorization" not in bye.headers

    assert answered == [False, True]


async def test_row_17_broken_credentials_are_refused_and_harm_nothing() -> None:
    broken = [
        "", "Digest", "Digest ,", "Digest =", 'Digest username="', "Digest " + "a=b," * 2000, "Basic x", "\x7f",
        'Digest username="desk", realm="edge", nonce="", uri="", response=""',
        'Digest nc=zzzzzzzz, qop=auth, nonce="n"',
        'Digest username="desk", realm="edge", nonce="' + "A" * 4000 + '", uri="sip:x", response="' + "f" * 64 + '"',
        "Digest username*=UTF-8''%ff%ff, realm=edge", 'Digest algorithm=MD99, realm="edge"', "Digest " + '"' * 3000,
    ]  # fmt: skip
    async with edge(trunk=GUARDED) as stage:
        with knocker(stage) as peer:
            found = [await peer.ask(sip(body=SDP, Authorization=each)) for each in broken]

        assert set(found) <= {400, 401, 403}
        assert (stage.agent.calls, stage.callee.endpoint.faults) == ([], 0)


async def test_row_18_credentials_that_were_heard_on_the_wire_are_no_good_again() -> None:
    account, other = Account("desk", "open sesame"), Account("other", "open sesame")
    async with edge(trunk=GUARDED) as stage:
        with knocker(stage) as peer:
            peer.send(sip(body=SDP))
            asked = await peer.response()

            def proof(who: Account, to: Response = asked) -> str:
                client = DigestClient([who], cnonce=lambda: "c")
                headers = client.authorize(to, method="INVITE", uri=f"sip:{NUMBER}@127.0.0.1", body=SDP)
                return headers[0][1]

            good = proof(account)
            guessed = Account("desk", "open barley")
            found = [await peer.ask(sip(body=SDP, Authorization=proof(who))) for who in (other, guessed)]
            found += [await peer.ask(sip(body=SDP, Authorization=good)) for _ in range(3)]
            tampered = re.sub(r'nonce="[^"]{4}', 'nonce="AAAA', good)
            found.append(await peer.ask(sip(body=SDP, Authorization=tampered)))
            peer.send(sip(body=SDP, Authorization=proof(account, challenge())))  # right, but for a nonce of his own
            last = await peer.response()
            found.append(last.status)
        for call in list(stage.callee.switchboard.calls.values()):
            call.end("the test is over")

    assert (asked.status, found) == (401, [401, 401, 200, 401, 401, 401, 401])
    assert "stale" not in str(last.headers.all("WWW-Authenticate"))  # it never was one of ours


def test_row_19_the_strongest_challenge_on_top_is_answered_and_md5_can_be_refused() -> None:
    lines = [
        ("WWW-Authenticate", f'Digest realm="r", nonce="{name}", qop="auth", algorithm={name}')
        for name in ("SHA-256", "MD5")
    ]
    request = messages_of(sip())
    assert isinstance(request, Request)
    both = make_response(request, 401, headers=lines)
    account = Account("desk", "open sesame")
    strict = DigestClient([account], cnonce=lambda: "c", allow_md5=False)
    easy = DigestClient([account], cnonce=lambda: "c")

    (answer,) = easy.authorize(both, method="INVITE", uri="sip:x@y", body=b"")
    assert "algorithm=SHA-256" in answer[1]
    assert strict.authorize(challenge(algorithm="MD5"), method="INVITE", uri="sip:x@y", body=b"") == []


async def test_row_20_strangers_reach_no_agent_and_the_log_names_the_reason_at_a_bounded_rate() -> None:
    methods = ["INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REGISTER", "REFER", "PUBLISH", "NOTIFY"]
    async with edge() as stage:
        with knocker(stage, STRANGER) as peer, capture_logs() as lines:
            found = {method: await peer.ask(sip(method, source=STRANGER, body=SDP)) for method in methods}
        with knocker(stage, "127.0.0.77") as loud, capture_logs() as many:
            for _ in range(400):
                loud.send(sip(source="127.0.0.77"))
            await loud.statuses()

        assert found == dict.fromkeys(methods, 403)
        assert (stage.agent.calls, stage.kept.records, await settled(stage)) == (
            [],
            [],
            {"calls": 0, "dialogs": 0, "connections": 0, "tasks": 0, "kept_alive": 0},
        )
    first, many_said = [[line["event"] for line in each if line["log_level"] == "warning"] for each in (lines, many)]
    why = "127.0.0.66 is in no trunk's accept_from and is not the address of any registrar: add it to trunks.<name>."
    assert first[0] == f"stranger refused from 127.0.0.66 by udp: INVITE {NUMBER}: {why}accept_from"
    assert len(first) == len(methods)
    assert 10 <= len(many_said) <= 15


async def test_row_21_nobody_dials_out_at_our_expense() -> None:
    def with_route() -> bytes:
        return sip(uri="sip:+19005551234@203.0.113.9", Route="<sip:127.0.0.1:9;lr>, <sip:203.0.113.9;lr>", body=SDP)

    async with edge() as stage:
        with knocker(stage) as peer, knocker(stage, STRANGER) as stranger:
            relayed = await peer.ask(with_route())
            foreign = await stranger.ask(with_route())
            spent = await peer.ask(sip(body=SDP, Max_Forwards="0"))
            referred = await peer.ask(sip("REFER", Refer_To="<sip:+19005551234@127.0.0.1>"))
        for call in list(stage.callee.switchboard.calls.values()):
            call.end("the test is over")

    assert (relayed, foreign, spent in (200, 483), referred in (405, 603)) == (404, 403, True, True)
    async with outgoing(answers) as out:
        board = out.near.switchboard
        board.tolls = Tolls(
            TollSettings(), board.doorkeeper.router, clock=lambda: board.now, day=lambda: board.limits.day
        )
        dear = ("+19005551234", "+88213300655", "+37190000000", "00 882 13300655", "*21*+88213300655#")
        abroad = ("+442071838750", "0044 20 7183 8750")  # cheap, but not the trunk's own country
        for number in (*dear, *abroad):
            with pytest.raises(LocalProtocolError, match=r"may not be called by trunk a: it is|is no number to call"):
                out.order(number)

        assert out.calls["a"].calls == []


async def test_row_22_an_answer_to_a_stranger_is_one_small_datagram_to_his_source() -> None:
    async with edge() as stage:
        with knocker(stage, STRANGER) as peer, knocker(stage, "127.0.0.88") as victim:
            for method in ("OPTIONS", "INVITE"):
                request = sip(
                    method,
                    source="127.0.0.88",
                    Via=f"SIP/2.0/UDP 127.0.0.88:{victim.port};branch=z9hG4bK{method};received=127.0.0.88;rport=1",
                )
                peer.send(request)
                answer = await peer.hear()

                assert len(answer) <= 3 * len(request)
                assert await peer.silent()
            assert await victim.silent()
            answer_via = messages_of(answer).via

    assert f"received={STRANGER}" in str(answer_via)
    assert f"rport={peer.port}" in str(answer_via)
