"""`sipflow call` against a real daemon: exit statuses, what it prints, what it sends and records."""

import asyncio
import re
import signal
import socket
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import read_wav, wav_header
from sipflow.cli.call import CallReport, _measure, summary
from sipflow.cli.plan import CallOptions
from sipflow.media.statistics import MediaStatistics
from tests.cli.conftest import GUARDED, NUMBERS, PASSWORD, Sipflow, report_of
from tests.interop.daemon import SIPFLOW, Caller, Daemon

BRIEF = ("--seconds", "0.6")


def test_answered_and_heard_is_0(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", daemon.uri(), "--seconds", "2")

    uri = re.escape(daemon.uri())
    assert result.exit_code == 0
    assert re.fullmatch(
        rf"calling {uri} at udp:127\.0\.0\.1:{daemon.port}\n"
        r"answered after [0-9]+ ms\n"
        r"over after 2\.[0-9] s: we hung up\n"
        r"PCMU: sent (9[0-9]|10[0-9]) packets, received [0-9]+, lost 0 \(0\.0 %\), jitter [0-9]+\.[0-9] ms\n"
        r"our tone came back at -1[1-5]\.[0-9] dBFS\n",  # weaker than it was sent where the machine stalls
        result.stdout,
    )


def test_wrong_command_line_is_2_before_anybody_is_called(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", daemon.uri(), "--digits", "1x")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "sipflow: --digits '1X': 'X' is none of 0-9 * # A-D\n"


def test_refused_is_3(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", daemon.uri(number=NUMBERS["busy"]), *BRIEF)

    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1].startswith("486 ")


def test_nobody_answers_in_time_is_4_and_the_far_end_stops_ringing(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", daemon.uri(number=NUMBERS["ring"]), "--ring-s", "0.4")

    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"180 Ringing after [0-9]+ ms", lines[1])
    assert lines[2:] == ["408 nobody answered in 0.4 s"]
    over = daemon.wait_said("the caller gave up")[-1]
    assert over["status"] == 487


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("uri", ["sip:x@127.0.0.1:PORT", "sip:x@127.0.0.1:PORT;transport=tcp", "sip:x@nobody.invalid"])
def test_not_reachable_is_5(uri: str, json: bool, sipflow: Sipflow) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        result = sipflow("call", uri.replace("PORT", str(taken.getsockname()[1])), *(["--json"] if json else []))

    assert (result.exit_code, result.stderr) == (5, "")
    if json:
        report = report_of(result)
        assert (report["status"], report["exit_status"], report["setup_ms"]) == (503, 5, None)
    else:
        assert re.match(r"503 .*(refused|failed|no address)", result.stdout.splitlines()[-1])


def test_json_is_one_object_with_all_that_is_known(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", daemon.uri(), *BRIEF, "--json")

    report = report_of(result)
    assert len(result.stdout.splitlines()) == 1
    assert list(report) == [each.name for each in fields(CallReport)]
    assert list(report["media"]) == [each.name for each in fields(MediaStatistics)]
    assert (report["uri"], report["status"], report["why"]) == (daemon.uri(), 200, "we hung up")
    assert (report["exit_status"], result.exit_code, report["progress"]) == (0, 0, [])
    assert 0 < report["setup_ms"] < 2000
    assert 0.5 < report["talk_s"] < 1.5
    assert (report["media"]["codec"], report["media"]["lost"]) == ("PCMU", 0)


def test_far_end_that_hangs_up_ends_a_good_call(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", daemon.uri(number=NUMBERS["short"]), "--seconds", "20", "--json")

    report = report_of(result)
    assert (result.exit_code, report["why"]) == (0, "the far end hung up")
    assert report["talk_s"] < 5


def test_record_is_a_wav_file_with_our_tone_in_it(daemon: Daemon, sipflow: Sipflow, tmp_path: Path) -> None:
    file = tmp_path / "heard.wav"
    result = sipflow("call", daemon.uri(), "--seconds", "2", "--tone", "880", "--record", str(file))

    frame = read_wav(file.read_bytes())
    assert (result.exit_code, frame.sample_rate_hz) == (0, 8000)
    assert 1.4 < len(frame.pcm) / 16000 < 2.6
    pieces = [frame.pcm[at : at + 4000] for at in range(0, len(frame.pcm) - 4000, 4000)]
    best = max(pieces, key=lambda piece: measure_tone(piece, 880))
    assert measure_tone(best, 880) == pytest.approx(-12.0, abs=1.0)
    assert measure_tone(best, 440) < -40


TONE = sine(440, 3000, level_dbfs=-12.0)
SILENCE = bytes(len(TONE))


@pytest.mark.parametrize(
    "heard",
    [
        TONE,
        SILENCE[:16000] + TONE,
        TONE[:9000] + SILENCE[:13000] + TONE[9000:],
        TONE[:12001] + TONE[20001:],
        TONE[:6400],
    ],
    ids=["whole", "late", "stalled", "cut", "short"],
)
def test_neither_a_stall_nor_a_late_start_makes_our_tone_weaker(heard: bytes) -> None:
    assert _measure(heard, CallOptions("sip:x")) == pytest.approx(-12.0, abs=0.1)


def test_a_tone_that_most_of_the_time_is_not_there_is_not_reported_as_if_it_were() -> None:
    assert _measure(SILENCE + TONE[:24000], CallOptions("sip:x")) == -120.0
    assert _measure(sine(880, 2000), CallOptions("sip:x")) == pytest.approx(-100.0, abs=40.0)


def test_what_is_too_short_to_measure_or_no_tone_of_ours_is_not_measured(tmp_path: Path) -> None:
    assert _measure(TONE[:6398], CallOptions("sip:x")) is None
    assert _measure(TONE, CallOptions("sip:x", play=tmp_path / "prompt.wav")) is None


def test_played_file_is_what_the_far_end_hears(daemon: Daemon, sipflow: Sipflow, tmp_path: Path) -> None:
    played, file = tmp_path / "prompt.wav", tmp_path / "heard.wav"
    pcm = sine(1300, 2000, level_dbfs=-9.0)
    played.write_bytes(wav_header(len(pcm)) + pcm)
    result = sipflow("call", daemon.uri(), "--seconds", "1", "--play", str(played), "--record", str(file))

    assert (result.exit_code, "our tone" in result.stdout) == (0, False)
    assert measure_tone(read_wav(file.read_bytes()).pcm[4000:12000], 1300) == pytest.approx(-9.0, abs=1.0)


def test_digits_and_headers_reach_the_agent(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow(
        "call", daemon.uri(number=NUMBERS["listen"]), "--seconds", "10", "--digits", "1d*2#",
        "--header", "X-Order: 17", "--header", "X-EI:S.abc;", "--from", "alice",
    )  # fmt: skip

    (heard,) = daemon.wait_said("^heard ")
    assert result.exit_code == 0
    assert (heard["digits"], heard["caller"]) == ("1D*2#", "alice")
    assert heard["variables"] == {"X-Order": "17", "X-EI": "S.abc;", "ei_session": "abc"}


@pytest.mark.parametrize("codec", ["PCMA", "pcmu"])
def test_codec_is_the_one_that_was_asked_for(daemon: Daemon, sipflow: Sipflow, codec: str) -> None:
    report = report_of(sipflow("call", daemon.uri(), *BRIEF, "--codec", codec, "--json"))

    assert report["media"]["codec"] == codec.upper()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_proxy_is_where_the_call_goes_whatever_the_uri_says(daemon: Daemon, sipflow: Sipflow, transport: str) -> None:
    proxy = f"127.0.0.1:{daemon.port};transport={transport}"
    result = sipflow("call", "sip:+12065550100@pbx.invalid", *BRIEF, "--proxy", proxy)

    assert result.exit_code == 0
    assert f"at {transport}:127.0.0.1:{daemon.port}\n" in result.stdout


def test_telephone_number_goes_through_a_proxy(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("call", "tel:+1-206-555-0100", *BRIEF, "--proxy", f"127.0.0.1:{daemon.port}")

    assert result.exit_code == 0


def test_challenge_is_answered_with_the_password_of_the_environment(daemon: Daemon, sipflow: Sipflow) -> None:
    uri = daemon.uri(number=GUARDED)
    right = sipflow("call", uri, *BRIEF, "--username", "desk", "--verbose", SIPFLOW_PASSWORD=PASSWORD)
    wrong = sipflow("call", uri, *BRIEF, "--username", "desk", SIPFLOW_PASSWORD="not-" + PASSWORD)
    none = sipflow("call", uri, *BRIEF)

    assert [result.exit_code for result in (right, wrong, none)] == [0, 3, 3]
    assert [result.stdout.splitlines()[-1][:4] for result in (wrong, none)] == ["401 ", "401 "]


def test_password_is_in_no_output_of_either_side(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow(
        "call", daemon.uri(number=GUARDED), *BRIEF, "--username", "desk", "--verbose", SIPFLOW_PASSWORD=PASSWORD
    )

    shown = result.stdout + result.stderr
    proofs = [re.findall(r"\bresponse=([^,\s]+)", text) for text in (shown, daemon.program.output)]
    assert "Authorization: Digest" in shown
    assert PASSWORD not in shown
    assert PASSWORD not in daemon.program.output
    assert [set(found) for found in proofs] == [{"***"}, {"***"}]


def test_sip_messages_are_shown_line_by_line_where_wanted(daemon: Daemon, sipflow: Sipflow) -> None:
    lines = sipflow("call", daemon.uri(), *BRIEF, "--verbose").stderr.splitlines()

    assert f"    INVITE {daemon.uri()} SIP/2.0" in lines
    assert "    SIP/2.0 200 OK" in lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_call_that_is_told_to_stop_says_goodbye(daemon: Daemon, tmp_path: Path, number: signal.Signals) -> None:
    before = len(daemon.said("^call in"))
    with Caller(tmp_path / "call.log", daemon.uri(), "--seconds", "60") as caller:
        daemon.wait_said("^call in", count=before + 1)
        last = len(daemon.said("^call over"))
        caller._program.signal(number)
        report = caller.finish()
        daemon.wait_said("^call over", count=last + 1)

    assert report.report["why"] == "we were told to stop"
    assert report.exit_status in (0, 1, 4)


class Phone(asyncio.DatagramProtocol):
    """A far end that answers INVITE with these status lines, and never says a thing in RTP."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # asyncio's own does not say that it is one

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"ACK"):
            return
        lines = [line for line in data.split(b"\r\n") if re.match(rb"(Via|From|To|Call-ID|CSeq):", line)]
        for status in self.answers if data.startswith(b"INVITE") else (b"200 OK",):
            sdp = SDP if data.startswith(b"INVITE") and status.startswith(b"200") else b""
            more = [b"Contact: <sip:x@127.0.0.1:%d>" % self.port] + [b"Content-Type: application/sdp"] * bool(sdp)
            head = [b"SIP/2.0 " + status, *lines, *more, b"Content-Length: %d" % len(sdp), b"", sdp]
            tagged = re.sub(rb"(?m)^(To:[^;\r]*)\r", rb"\1;tag=phone\r", b"\r\n".join(head))
            self.transport.sendto(tagged, addr)

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port


SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


async def called(phone: Phone, *options: str) -> tuple[int | None, str, str]:
    """Call a phone; returns exit status and what was written to stdout and stderr."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: phone, local_addr=("127.0.0.1", 0))
    program = await asyncio.create_subprocess_exec(
        SIPFLOW, "call", f"sip:x@127.0.0.1:{phone.port}", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(program.communicate(), 25)
    finally:
        if program.returncode is None:
            program.kill()
        transport.close()
    return program.returncode, out.decode(), err.decode()


async def test_answered_and_silent_is_1() -> None:
    status, out, _ = await called(Phone(b"200 OK"), *BRIEF)

    assert status == 1
    assert out.endswith("nothing was heard: check NAT, firewall and media.advertise at the far end\n")


async def test_digits_are_played_as_tones_to_a_far_end_that_takes_no_events() -> None:
    status, out, err = await called(Phone(b"200 OK"), "--digits", "1", "--seconds", "1")

    assert (status, err) == (1, "")  # answered, and this phone says nothing
    assert "no digits can be sent" not in out


async def test_words_of_a_rude_far_end_take_no_terminal_over() -> None:
    rude = "Busy\udcff \u202e\x9b31m".encode("utf-8", "surrogateescape")
    status, *written = await called(Phone(b"180 " + rude, b"486 " + rude), "--verbose")

    assert status == 3
    assert "180 Busy" in written[0]
    assert "486 " in written[0]
    assert [text for text in written if re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|Traceback", text)] == []


def test_summary_of_a_call_that_was_refused_is_one_line() -> None:
    assert summary(CallReport("sip:x@y", status=486, why="Busy\x1b[2J Here")) == ["486 Busy [2J Here"]


def test_summary_blames_no_nat_for_the_silence_of_a_call_that_was_over_at_once() -> None:
    report = CallReport("sip:x@y", 200, "the agent raised KeyError", setup_ms=1.0, talk_s=0.01, media=MediaStatistics())

    assert [line for line in summary(report) if "NAT" in line] == []


@pytest.mark.parametrize(
    ("tone_dbfs", "line"),
    [
        (-12.0, "our tone came back at -12.0 dBFS"),
        (-120.0, "our tone did not come back: no echo, or it does not hear us"),
    ],
)
def test_summary_says_whether_it_was_our_tone_that_was_heard(tone_dbfs: float, line: str) -> None:
    media = MediaStatistics(codec="PCMA", packets_sent=10, packets_received=10)
    report = CallReport("sip:x@y", 200, "we hung up", setup_ms=5.0, talk_s=0.2, tone_dbfs=tone_dbfs, media=media)

    assert summary(report)[-1] == line


def test_summary_counts_loss_of_what_was_expected() -> None:
    media = MediaStatistics(codec="PCMA", packets_sent=10, packets_received=9, lost=1, jitter_ms=2.25)
    report = CallReport("sip:x@y", status=200, why="we hung up", setup_ms=5.0, talk_s=0.2, media=media)

    assert summary(report) == [
        "over after 0.2 s: we hung up",
        "PCMA: sent 10 packets, received 9, lost 1 (10.0 %), jitter 2.2 ms",
    ]
