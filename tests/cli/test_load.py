"""`sipflow load`: many calls, and how they went."""

import pytest

from sipflow.cli.load import LoadOptions, LoadReport, Placed, lines_of, summed_up
from sipflow.cli.plan import CallOptions
from sipflow.media.statistics import MediaStatistics
from tests.cli.conftest import NUMBERS, Sipflow, report_of
from tests.interop.daemon import Daemon
from tests.interop.free_ports import free_sip_port

WANTED = LoadOptions(CallOptions("sip:x@y"), calls=3, rate=5.0)


def good(setup_ms: float, *, lost: int = 0, mos: float = 4.4) -> Placed:
    media = MediaStatistics(packets_received=100 - lost, lost=lost, jitter_ms=2.0, opinion=mos)
    return Placed(200, "", setup_ms, -12.0, media)


def summed(*placed: Placed, wanted: LoadOptions = WANTED) -> LoadReport:
    return summed_up(list(placed), at_once=2, took_s=3.0, wanted=wanted)


def test_figures_are_of_all_calls() -> None:
    report = summed(*[good(float(number), lost=number % 2) for number in range(1, 101)])

    assert report == LoadReport(
        calls=100,
        answered=100,
        at_once=2,
        took_s=3.0,
        setup_ms={"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 100.0},
        loss_percent={"mean": 0.5, "worst": 1.0},
        jitter_ms={"mean": 2.0, "worst": 2.0},
        mos={"mean": 4.4, "worst": 4.4},
        tone_dbfs={"median": -12.0, "worst": -12.0},
    )
    assert lines_of(report) == [
        "100 of 100 calls answered (100.0 %) in 3.0 s, 2 at once",
        "setup   p50 51.0 ms, p95 96.0 ms, p99 100.0 ms, max 100.0 ms",
        "loss    mean 0.50 %, worst 1.00 %",
        "jitter  mean 2.00 ms, worst 2.00 ms",
        "mos     mean 4.40, worst 4.40",
        "tone    median -12.0 dBFS, worst -12.0 dBFS",
    ]


def test_refusals_are_counted_by_their_words() -> None:
    report = summed(good(1.0), Placed(486, "Busy"), Placed(486, "Busy"))

    assert (report.refused, report.exit_status) == ({"486 Busy": 2}, 1)
    assert "  2 times 486 Busy" in lines_of(report)


@pytest.mark.parametrize(
    ("placed", "wanted", "status"),
    [
        ([good(1.0, mos=3.0)], WANTED, 1),
        ([good(1.0, mos=3.0)], LoadOptions(WANTED.call, 1, 1.0, min_mos=2.0), 0),
        ([good(1.0), Placed(486, "Busy")], LoadOptions(WANTED.call, 2, 1.0, max_failed=1), 0),
        ([Placed(200, "", 1.0, None, MediaStatistics())], WANTED, 1),
        ([Placed(503, "no address")], WANTED, 5),
        ([], WANTED, 5),
    ],
)
def test_exit_status_says_whether_it_was_good_enough(placed: list[Placed], wanted: LoadOptions, status: int) -> None:
    assert summed(*placed, wanted=wanted).exit_status == status


def test_silent_calls_are_told() -> None:
    report = summed(Placed(200, "", 1.0, None, MediaStatistics()))

    assert (report.silent, "  1 were answered, and nothing was heard of them" in lines_of(report)) == (1, True)


def test_calls_with_audio_are_placed_side_by_side(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("load", daemon.uri(), "--calls", "4", "--rate", "8", "--seconds", "1", "--json")

    report = report_of(result)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (report["calls"], report["answered"], report["refused"], report["silent"]) == (4, 4, {}, 0)
    assert report["at_once"] >= 3
    assert report["tone_dbfs"]["median"] == pytest.approx(-12, abs=2)
    assert -24 < report["tone_dbfs"]["worst"] <= report["tone_dbfs"]["median"]  # one may have holes
    assert report["mos"]["worst"] > 4
    assert 0 < report["setup_ms"]["p50"] <= report["setup_ms"]["max"] < 5000


def test_busy_far_end_is_5_for_none_answered(daemon: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("load", daemon.uri(number=NUMBERS["busy"]), "--calls", "2", "--rate", "20")

    assert result.exit_code == 5
    assert result.stdout.startswith("0 of 2 calls answered (0.0 %) in ")
    assert "  2 times 486 " in result.stdout


def test_nobody_there_and_nobody_who_answers_are_5(daemon: Daemon, sipflow: Sipflow) -> None:
    gone = sipflow("load", f"sip:x@127.0.0.1:{free_sip_port()}", "--calls", "1")
    rings = sipflow("load", daemon.uri(number=NUMBERS["ring"]), "--calls", "1", "--ring-s", "0.3")

    assert (gone.exit_code, rings.exit_code) == (5, 5)
    assert "1 times 408 nobody answered in 0.3 s" in rings.stdout


def test_rate_that_is_none_is_2(sipflow: Sipflow) -> None:
    result = sipflow("load", "sip:x@127.0.0.1", "--rate", "0")

    assert (result.exit_code, result.stderr) == (2, "sipflow: --calls is 1 or more, and --rate more than 0\n")
