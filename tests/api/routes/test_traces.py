"""The messages of real calls over real HTTP: drawn, as a capture that Wireshark reads, as one bundle."""

import asyncio
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.agents.conduct import Conduct
from sipflow.calls.call import Call
from sipflow.errors import CallFailed
from sipflow.net.tracers import Settings as TraceSettings
from sipflow.store.settings import Settings
from tests.api.callstage import CALLEE, OURS, CallStage, callstage
from tests.calls.stage import WAIT_S

TSHARK = shutil.which("tshark")


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path, conduct=Conduct(is_recording=True)) as made:
        yield made


async def finished(edge: CallStage) -> str:
    """Let somebody call us and hang up; returns the call's id."""
    call_id, call = await edge.called_in(headers=(("Authorization", 'Digest username="a", response="5ec4e7"'),))
    await call.hangup()
    await edge.over(call_id)
    return call_id


def speak(call: Call) -> None:
    """Have a second of audio sent."""
    assert call.media is not None
    call.media.session.enqueue(bytes(16_000))


async def captured(edge: CallStage, call_id: str, count: int = 5) -> None:
    """Wait until so many audio packets are kept."""
    async with asyncio.timeout(WAIT_S):
        while len(edge.watching.captures.of(call_id)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def labels(edge: CallStage, call_id: str) -> list[str]:
    found = (await edge.get(f"/v2/calls/{call_id}/trace"))["response"]
    return [each["label"] for each in found["messages"]]


def tshark(file: bytes, folder: Path, *arguments: str) -> list[str]:
    """Read a capture file as Wireshark does."""
    if TSHARK is None:
        pytest.skip("tshark is not installed")
    path = folder / "call.pcap"
    path.write_bytes(file)
    done = subprocess.run([TSHARK, "-r", str(path), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def test_the_messages_of_a_call_are_shown_in_order_without_secrets(edge: CallStage) -> None:
    call_id = await finished(edge)
    found = (await edge.get(f"/v2/calls/{call_id}/trace"))["response"]
    messages = found.pop("messages")

    assert [each["label"] for each in messages] == [
        "INVITE (sdp)", "100 Trying to INVITE", "200 OK to INVITE (sdp)", "ACK", "BYE", "200 OK to BYE",
    ]  # fmt: skip
    assert found == {"call_id": call_id, "why": "", "capturing": False, "captured_packets": 0}
    assert [each["source"] == "sipflow" for each in messages] == [False, True, True, False, False, True]
    assert messages[0]["after_s"] == 0.0
    assert f"INVITE sip:{OURS}@" in messages[0]["text"]
    assert "5ec4e7" not in str(messages)


async def test_a_ladder_is_drawn_where_text_is_asked_for(edge: CallStage) -> None:
    call_id = await finished(edge)
    answer = await edge.client.get(f"/v2/calls/{call_id}/trace", params={"format": "text"})
    lines = answer.text.splitlines()

    assert answer.headers["content-type"].startswith("text/plain")
    assert len(lines) == 7
    assert lines[0].endswith("sipflow")
    assert "- INVITE (sdp) -" in lines[1]
    assert "- 200 OK to BYE -" in lines[6]
    assert "5ec4e7" not in answer.text


async def test_the_calls_on_behalf_of_a_call_are_part_of_its_trace(edge: CallStage) -> None:
    call_id, call = await edge.called_in()
    far = edge.far.endpoint.ports["udp"]
    leg = await edge.near.switchboard.calls[call_id].dial(f"sip:{CALLEE}@127.0.0.1:{far}")
    await leg.wait_answered()
    await call.hangup()
    await edge.over(call_id)
    whole, of_leg = await labels(edge, call_id), await labels(edge, leg.id)

    assert [each for each in whole if each.startswith("INVITE")] == ["INVITE (sdp)"] * 2
    assert [each for each in of_leg if each.startswith("INVITE")] == ["INVITE (sdp)"]
    assert len(whole) > len(of_leg)


async def test_a_call_that_was_refused_has_a_trace_too(edge: CallStage) -> None:
    with pytest.raises(CallFailed):
        await edge.call_in("+12065559999")
    (call,) = (await edge.get("/v2/calls"))["response"]["calls"]

    assert await labels(edge, call["call_id"]) == [
        "INVITE (sdp)", "100 Trying to INVITE", "404 Not Found to INVITE", "ACK",
    ]  # fmt: skip


async def test_wireshark_reads_the_capture_of_a_call_with_its_audio(edge: CallStage, tmp_path: Path) -> None:
    call_id, call = await edge.called_in()
    started = (await edge.post(f"/v2/calls/{call_id}/capture", {"seconds": 30}))["response"]
    again = await edge.refused("POST", f"/v2/calls/{call_id}/capture", status=409, json={})
    speak(call)
    speak(edge.near.switchboard.calls[call_id])
    await captured(edge, call_id, 20)
    await edge.ask("DELETE", f"/v2/calls/{call_id}/capture")
    twice = await edge.refused("DELETE", f"/v2/calls/{call_id}/capture", status=409)
    await call.hangup()
    await edge.over(call_id)
    answer = await edge.client.get(f"/v2/calls/{call_id}/pcap")
    plain = await edge.client.get(f"/v2/calls/{call_id}/pcap", params={"media": "false"})
    events = [each["name"] for each in (await edge.get(f"/v2/calls/{call_id}/events"))["response"]["events"]]

    assert started == {"seconds": 30.0}
    assert again == f"the audio packets of call {call_id} are being kept already"
    assert twice == f"the audio packets of call {call_id} are not being kept"
    assert {"capture_started", "capture_stopped"} <= set(events)
    assert answer.headers["content-type"] == "application/vnd.tcpdump.pcap"
    assert answer.headers["content-disposition"] == f'attachment; filename="call-{call_id}.pcap"'
    assert tshark(plain.content, tmp_path, "-Y", "rtp") == []
    assert len(tshark(plain.content, tmp_path, "-Y", "sip")) == 6
    rtp = tshark(answer.content, tmp_path, "-Y", "rtp", "-T", "fields", "-e", "rtp.p_type", "-e", "rtp.ssrc")
    assert len(rtp) >= 20
    assert len(set(rtp)) == 2  # both ways, of one codec
    checked = ("-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
    wrong = "_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0"
    assert tshark(answer.content, tmp_path, *checked, "-Y", wrong) == []


async def test_all_that_is_known_of_a_call_is_one_bundle(edge: CallStage, tmp_path: Path) -> None:
    call_id = await edge.answered()
    await edge.happened(call_id, "recording_started")
    await edge.post(f"/v2/calls/{call_id}/capture", {})
    speak(edge.near.switchboard.calls[call_id])
    await captured(edge, call_id)
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    assert await edge.desk.recorder.finished(call_id)
    answer = await edge.client.get(f"/v2/calls/{call_id}/evidence")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        names = [name.partition("/")[2] for name in bundle.namelist()]
        files = {name: bundle.read(f"call-{call_id}/{name}") for name in names}

    assert answer.headers["content-type"] == "application/zip"
    assert sorted(files) == [
        "README.txt", "call.pcap", "events.json", "ladder.txt", "messages.txt", "record.json", "recording.wav",
        "statistics.json",
    ]  # fmt: skip
    assert b"INVITE (sdp)" in files["ladder.txt"]
    assert b"m=audio" in files["messages.txt"]
    assert json.loads(files["record.json"])["id"] == call_id
    assert [each["name"] for each in json.loads(files["events.json"])][-1] == "ended"
    assert json.loads(files["statistics.json"])["codec"] == "PCMU"
    assert files["recording.wav"][:4] == b"RIFF"
    assert call_id in files["README.txt"].decode()
    assert len(tshark(files["call.pcap"], tmp_path, "-Y", "rtp")) >= 5


async def test_a_token_that_may_not_hear_gets_neither_recording_nor_audio_packets(
    edge: CallStage, tmp_path: Path
) -> None:
    call_id, call = await edge.called_in()
    await edge.post(f"/v2/calls/{call_id}/capture", {})
    speak(edge.near.switchboard.calls[call_id])
    await captured(edge, call_id)
    await call.hangup()
    await edge.over(call_id)
    reader = await edge.token("calls:read")
    capture = await edge.client.get(f"/v2/calls/{call_id}/pcap", headers=reader)
    evidence = await edge.client.get(f"/v2/calls/{call_id}/evidence", headers=reader)
    with zipfile.ZipFile(io.BytesIO(evidence.content)) as bundle:
        names = [name.rpartition("/")[2] for name in bundle.namelist()]
    forbidden = await edge.refused("POST", f"/v2/calls/{call_id}/capture", status=403, headers=reader, json={})

    assert tshark(capture.content, tmp_path, "-Y", "rtp") == []
    assert "recording.wav" not in names
    assert forbidden == "this token may not do that: it needs the scope calls:write"


async def test_a_call_that_is_not_there_or_over_is_refused_in_words(edge: CallStage) -> None:
    call_id = await finished(edge)
    for path in ("trace", "pcap", "evidence"):
        assert await edge.refused("GET", f"/v2/calls/nope/{path}", status=404) == "there is no call 'nope'"
    over = await edge.refused("POST", f"/v2/calls/{call_id}/capture", status=409, json={})
    long = await edge.refused("POST", f"/v2/calls/{call_id}/capture", status=400, json={"seconds": 1e9})

    assert over == f"call {call_id} is over"
    assert long.startswith("seconds: ")


async def test_where_nothing_is_kept_that_is_what_is_said(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with callstage(sqlite_settings, tmp_path, tracing=TraceSettings(enabled=False)) as edge:
        call_id = await finished(edge)
        found = (await edge.get(f"/v2/calls/{call_id}/trace"))["response"]
        drawn = await edge.client.get(f"/v2/calls/{call_id}/trace", params={"format": "text"})

    assert (found["messages"], found["why"]) == ([], "SIP messages are not kept here (trace.enabled is false)")
    assert drawn.text.strip() == found["why"]
