"""Asterisk with the configuration of its page, and sipflow with the YAML beside it; then what other settings do."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.integrations.audiosocket import AudioSocketServer
from sipflow.integrations.audiosocket_call import AudioSocketCall
from tests.interop.asterisk import Asterisk
from tests.interop.daemon import AGENTS, CallReport, Daemon, call
from tests.interop.free_ports import free_control_port
from tests.interop.phone import Phone
from tests.interop.programs import ROOT, missing

HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "providers" / "asterisk.md").read_text(encoding="utf-8")
NUMBER, PASSWORD = "+12065550100", "sesame-4711"
BLIND, BUSY, NOBODY, ATTENDED, HAND_BACK, DIGITS = (f"+1206555011{n}" for n in range(6))
WIDE, SDES, MODERN, DIRECT, PRESSED = (f"+1206555012{n}" for n in range(1, 6))
TO_200, TO_201, TO_250, TO_251 = (f"+1206555013{n}" for n in range(4))
TRANSFERS = "tests.interop.transfer_agents:transferring"
MUSIC_HZ = 1900
ECHOED = (200, pytest.approx(-12.0, abs=1.5))  # the tone is that loud; busy machines weaken it


def block(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def bot_port() -> int:
    return free_control_port()


@pytest.fixture(scope="module")
def pbx(bot_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """The page's Asterisk, with telephones."""
    music = tmp_path_factory.mktemp("music")
    tone = sine(MUSIC_HZ, 4000, level_dbfs=-12.0)
    (music / "tone.wav").write_bytes(wav_header(len(tone)) + tone)
    pjsip, extensions = block("ini")
    files = {
        "pjsip.conf": pjsip + (HERE / "asterisk_pjsip.conf").read_text(encoding="utf-8"),
        "extensions.conf": f"[globals]\nBOT={bot_port}\nHERE=0.0.0.0:5060\n\n"
        + extensions
        + (HERE / "asterisk_extensions.conf").read_text(encoding="utf-8"),
        "musiconhold.conf": f"[default]\nmode=files\ndirectory={music}\n",
    }
    with Asterisk(tmp_path_factory.mktemp("pbx"), files) as asterisk:
        yield asterisk


@pytest.fixture(scope="module")
def daemon(pbx: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The page's sipflow, with more numbers, and with more accounts at the same Asterisk."""
    page: dict[str, Any] = yaml.safe_load(block("yaml")[0].replace("192.0.2.10", f"127.0.0.1:{pbx.port}"))
    trunks, numbers, agents = page["trunks"], page["numbers"], page["agents"]
    trunks["pbx"]["password"] = "secret-of-sipflow"
    other = {"profile": "asterisk", "sip_domain": f"127.0.0.1:{pbx.port}", "password": PASSWORD}
    trunks["wide"] = {**other, "username": "wide", "transport": "tcp", "codecs": ["G722", "PCMU"]}
    trunks["sdes"] = {**other, "username": "sdes", "srtp": "required"}
    trunks["modern"] = {
        **other, "username": "modern", "srtp": "required", "srtp_keys": "dtls", "codecs": ["opus", "PCMU"]
    }  # fmt: skip
    trunks["direct"] = {**other, "username": "direct", "dtmf": "info"}
    trunks["local"] = {"accept_from": ["127.0.0.0/8"]}
    agents["measured"] = {"handler": f"{AGENTS}:measured_echo"}
    agents["digits"] = {"handler": f"{AGENTS}:press_back"}
    agents["blind"] = {"handler": TRANSFERS, "target": "200"}
    agents["busy"] = {"handler": TRANSFERS, "target": "201"}
    agents["nobody"] = {"handler": TRANSFERS, "target": "999"}
    agents["attended"] = {"handler": TRANSFERS, "target": "200", "mode": "attended"}
    agents["back"] = {"handler": f"{AGENTS}:hand_back", "to": "200"}
    of = {BLIND: "blind", BUSY: "busy", NOBODY: "nobody", ATTENDED: "attended", HAND_BACK: "back", DIGITS: "digits"}
    numbers |= {number: {"trunk": "pbx", "inbound_agent": agent} for number, agent in of.items()}
    beside = {WIDE: "wide", SDES: "sdes", MODERN: "modern", DIRECT: "direct"}
    numbers |= {number: {"trunk": trunk, "inbound_agent": "measured"} for number, trunk in beside.items()}
    numbers[PRESSED] = {"trunk": "direct", "inbound_agent": "digits"}
    for number, extension in {TO_200: "200", TO_201: "201", TO_250: "250", TO_251: "251"}.items():
        agents[f"to{extension}"] = {"handler": "forward", "to": extension, "trunk": "pbx", "from": NUMBER}
        numbers[number] = {"trunk": "local", "inbound_agent": f"to{extension}"}
    with Daemon(tmp_path_factory.mktemp("sipflow"), **page) as daemon:
        daemon.wait_said("^trunk [a-z]+: registered at", count=5)
        yield daemon


@pytest.fixture(scope="module")
def telephone(pbx: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two telephones of the PBX: 200 answers and echoes, 201 is busy."""
    account = {"sip_domain": f"127.0.0.1:{pbx.port}", "password": PASSWORD}
    trunks = {name: {**account, "username": name} for name in ("200", "201")}
    numbers = {"200": {"trunk": "200", "inbound_agent": "echo"}, "201": {"trunk": "201", "inbound_agent": "busy"}}
    agents = {"echo": {"handler": "echo"}, "busy": {"handler": f"{AGENTS}:busy"}}
    folder = tmp_path_factory.mktemp("telephone")
    with Daemon(folder, trunks=trunks, numbers=numbers, agents=agents) as telephone:
        telephone.wait_said("^trunk 20.: registered at", count=2)
        yield telephone


def call_in(folder: Path, pbx: Asterisk, number: str, *options: str, password: str = PASSWORD) -> CallReport:
    """Call by way of Asterisk, as somebody outside."""
    who = ("--from", "outside", "--username", "outside")
    return call(folder, f"sip:{number}@127.0.0.1:{pbx.port}", *who, *options, password=password)


def calls_in(folder: Path, pbx: Asterisk, numbers: Iterable[str], *options: str) -> list[CallReport]:
    """Several such calls at once, of two seconds each."""
    with ThreadPoolExecutor() as pool:
        places = [folder / number for number in numbers]
        for place in places:
            place.mkdir()
        return list(pool.map(lambda place: call_in(place, pbx, place.name, "--seconds", "2", *options), places))


def over(daemon: Daemon, number: str, pattern: str = "^transfer over") -> dict[str, Any]:
    """What the log says of the last call to a number."""
    wanted = [line["call"] for line in daemon.wait_said("^call in") if line["number"] == number]
    return next(line for line in daemon.wait_said(pattern) if line["call"] == wanted[-1])


def test_a_call_from_outside_reaches_the_agent_and_the_tone_comes_back(
    pbx: Asterisk, daemon: Daemon, tmp_path: Path
) -> None:
    report = call_in(tmp_path, pbx, NUMBER, "--seconds", "2")

    assert (report.status, report.tone_dbfs) == ECHOED, report
    assert "Avail" in pbx.wait_cli("pjsip show aors", "Contact: +sipflow/sip:.*;line=.*")[0]
    assert "trunk pbx: far end up" in daemon.state()


def test_a_wrong_password_is_refused(pbx: Asterisk, tmp_path: Path) -> None:
    report = call_in(tmp_path, pbx, NUMBER, password="wrong")

    assert (report.exit_status, report.status) == (3, 401)


def test_caller_and_headers_of_the_dialplan_reach_the_agent(pbx: Asterisk, daemon: Daemon, tmp_path: Path) -> None:
    assert call_in(tmp_path, pbx, "anna", "--seconds", "0.2").status == 200

    assert [line["number"] for line in daemon.said("^call in") if line["caller"] == "+12065550155"] == [NUMBER]


def test_other_transports_codecs_keys_and_ways_of_the_sound_do_as_well(
    pbx: Asterisk, daemon: Daemon, tmp_path: Path
) -> None:
    wanted = {WIDE: ("wide", "G722"), SDES: ("sdes", "PCMU"), MODERN: ("modern", "opus"), DIRECT: ("direct", "PCMU")}
    if pbx.version < 20:
        del wanted[MODERN]  # Debian's Asterisk 16 cannot translate Opus
    before = len(daemon.said("^heard"))
    reports = calls_in(tmp_path, pbx, wanted)
    heard = {line["call"]: line for line in daemon.wait_said("^heard", count=before + len(wanted))[before:]}
    came = {line["number"]: line for line in daemon.said("^call in") if line["call"] in heard}

    assert [(each.status, each.tone_dbfs) for each in reports] == [ECHOED] * len(wanted)
    assert {number: (line["trunk"], heard[line["call"]]["codec"]) for number, line in came.items()} == wanted
    assert {(each["lost"], each["unauthentic"], each["unexpected"]) for each in heard.values()} == {(0, 0, 0)}
    assert pbx.program is not None
    assert "Remotely bridged" in pbx.program.output  # that of `direct`


def test_an_extension_is_called_and_sees_the_number(pbx: Asterisk, daemon: Daemon, telephone: Daemon) -> None:
    folder = daemon.file.parent
    report = call(folder, daemon.uri(number=TO_200), "--seconds", "2")
    busy = call(folder, daemon.uri(number=TO_201))

    assert (report.status, report.tone_dbfs, busy.status) == (*ECHOED, 486), report
    assert [line["caller"] for line in telephone.said("^call in")][-2:] == [NUMBER, NUMBER]


def test_early_media_crosses_and_a_redirection_by_asterisk_is_followed_and_heard(
    daemon: Daemon, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as pool:
        uris = [daemon.uri(number=number) for number in (TO_250, TO_251)]
        reports = list(pool.map(lambda uri: call(tmp_path, uri, "--seconds", "2"), uris))

    assert [(each.status, each.tone_dbfs, each.progress) for each in reports] == [(*ECHOED, [183])] * 2


# Transfers


def test_transfers_by_asterisk_come_to_what_is_told_of_them(
    pbx: Asterisk, daemon: Daemon, telephone: Daemon, tmp_path: Path
) -> None:
    reports = calls_in(tmp_path, pbx, (BLIND, ATTENDED, HAND_BACK), "--seconds", "6")  # most of it with the person
    told, completed, back = over(daemon, BLIND), over(daemon, ATTENDED), daemon.wait_said("^handed back")[-1]

    assert [(each.status, each.tone_dbfs) for each in reports] == [ECHOED] * 3
    assert (told["outcome"], told["connected"], told["attempts"]) == ("transfer-success", True, [["REFER", 200, ""]])
    assert completed["outcome"] == "transfer-success"
    assert completed["attempts"] == [["INVITE", 200, ""], ["REFER", 200, ""]]
    assert (back["outcome"], back["status"]) == ("succeeded", 200)


def test_a_caller_whom_asterisk_has_sent_away_in_vain_is_gone(
    pbx: Asterisk, daemon: Daemon, telephone: Daemon, tmp_path: Path
) -> None:
    calls_in(tmp_path, pbx, (BUSY, NOBODY))
    told, ends = [over(daemon, each) for each in (BUSY, NOBODY)], [over(daemon, BUSY, "^call over")]

    assert [(each["outcome"], each["attempts"]) for each in told] == [
        ("transfer-failed-busy", [["REFER", 486, "destination_unavailable"]]),
        ("transfer-failed-connection-error", [["REFER", 404, "number_not_found"]]),
    ]
    assert [(each["by"], each["why"].partition(",")[0]) for each in ends] == [
        ("local", "the far end has sent the caller away")
    ]


# Inside a call


@pytest.mark.parametrize(("number", "account"), [(DIGITS, "sipflow"), (PRESSED, "direct")])
def test_digits_cross_both_ways_as_events_and_as_info(number: str, account: str, pbx: Asterisk, daemon: Daemon) -> None:
    assert pbx.program is not None
    before = pbx.program.mark
    pbx.cli(f"channel originate PJSIP/{number}@{account} extension digits@presses")

    pbx.program.wait_for("It has read 159", after=before)
    assert over(daemon, number, "^digits read")["digits"] == "12*#"


def test_a_hold_that_asterisk_passes_on_is_known_to_the_agent(pbx: Asterisk, daemon: Daemon, tmp_path: Path) -> None:
    with Phone(tmp_path, account="outside", proof=("outside", PASSWORD)) as phone:
        phone.dial(f"sip:{DIRECT}@127.0.0.1:{pbx.port}")
        phone.wait_heard(25)
        phone.command("hold")
        held = daemon.wait_said("^on hold")[-1]
        phone.command("resume")
        resumed = daemon.wait_said("^resumed")[-1]
        phone.quit()

    assert (held["call"], resumed["call"]) == (over(daemon, DIRECT, "^call over")["call"],) * 2


async def test_asterisk_dials_an_agent_over_audiosocket_by_its_application_and_by_its_channel(
    pbx: Asterisk, bot_port: int, tmp_path: Path
) -> None:
    if pbx.version < 20:
        missing(f"Asterisk {pbx.version} has no AudioSocket of 16 kHz")
    rates: list[int] = []

    async def echo(bot: AudioSocketCall) -> None:
        rates.append(bot.session.queue.sample_rate_hz)
        await bot.play(bot.audio)

    async with AudioSocketServer(echo, host="127.0.0.1", port=bot_port):
        reports = await asyncio.to_thread(calls_in, tmp_path, pbx, ("bot", "widebot"))

    assert [(each.status, each.tone_dbfs) for each in reports] == [ECHOED] * 2
    assert sorted(rates) == [8000, 16000]


def test_an_asterisk_that_was_killed_and_started_again_finds_us(pbx: Asterisk, daemon: Daemon, tmp_path: Path) -> None:
    pbx.kill()
    pbx.start()
    pbx.wait_cli("pjsip show aors", "Contact: +wide/sip:")
    reports = calls_in(tmp_path, pbx, (NUMBER, WIDE))

    assert [(each.status, each.tone_dbfs) for each in reports] == [ECHOED] * 2
