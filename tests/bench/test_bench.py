"""Every figure in miniature: that it can be measured, not what it is."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import (
    api,
    bridge,
    media,
    memory,
    opus,
    orders,
    pools,
    signalling,
    soak,
    startup,
    store,
    stream,
    trunks,
)
from tests.bench.__main__ import FIGURES, main
from tests.bench.peers import kamailio
from tests.bench.programs import MissingProgram, find
from tests.bench.report import Line, at_most, exactly
from tests.interop.programs import missing


def needs(program: str, package: str) -> None:
    """Skip the test, or fail it where CI=true, without a program."""
    try:
        find(program)
    except MissingProgram as error:
        missing(f"{error} (Debian package {package})")


def values(lines: Iterable[Line]) -> dict[str, str]:
    return {line.what.strip(): line.value for line in lines}


def test_a_figure_is_printed_with_its_aim_and_whether_it_is_met() -> None:
    assert str(at_most("CPU", 0.71, 0.8, "ms")).split() == ["CPU", "0.71", "ms", "ok:", "at", "most", "0.8", "ms"]
    assert str(exactly("failed", 2, 0)).split() == ["failed", "2", "MISSED:", "0"]
    assert str(Line("memory", "3 MiB")).split() == ["memory", "3", "MiB"]


def test_an_unknown_figure_is_named_beside_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert capsys.readouterr().err == f"no figure is called speed: there are {', '.join(FIGURES)}\n"


def test_signalling_counts_every_call_and_what_it_cost_beside_a_peer(tmp_path: Path) -> None:
    needs("sipp", "sip-tester")
    needs("kamailio", "kamailio")
    with signalling.edge(tmp_path) as ours, kamailio(tmp_path) as theirs:
        both = [signalling.Candidate("sipflow", *ours), signalling.Candidate("Kamailio", *theirs)]
        signalling.measure(both, tmp_path, signalling.Load(calls=10, rate=50, turns=1))

    assert [[(turn.successful, turn.failed) for turn in one.went] for one in both] == [[(10, 0)], [(10, 0)]]
    assert [one.cost_ms > 0 for one in both] == [True, True]


def test_media_comes_back_in_every_call() -> None:
    found = values(media.run(media.Load(few=2, calls=3, many=0, peer=0, seconds=0.4)))

    assert found["3 calls at once: up"] == "3"
    assert found["packets to sipflow that were lost"] == "0"
    assert found["packets from sipflow that were lost"] == "0"


def test_a_bridge_has_two_legs_and_packets_cross_it_with_the_time_that_they_took(tmp_path: Path) -> None:
    needs("sipp", "sip-tester")
    with bridge.two_legs(tmp_path) as ours:
        one = signalling.Candidate("sipflow", *ours)
        signalling.measure([one], tmp_path, signalling.Load(calls=10, rate=50, turns=1))
    found = values(bridge.media(calls=3, seconds=0.4, settle_s=0.2))

    assert [(turn.successful, turn.failed) for turn in one.went] == [(10, 0)]
    assert (found["3 joined calls of G.711: up"], found["packets lost of 120"]) == ("3", "0")
    assert (found["ends that heard nothing"], found["calls left afterwards"]) == ("0", "0")
    assert found["a packet's way through, half of them within"].endswith(" ms")

    plain = values(bridge.plain(calls=3, seconds=0.4, settle_s=0.2))
    assert plain["packets lost"] == "0"
    assert plain["a packet's way through, half of them within"].endswith(" ms")


def test_calls_cost_little_more_with_the_store() -> None:
    needs("sipp", "sip-tester")
    found = values(store.run(store.Load(pairs=1, calls=5, rate=50, at_once=2)))

    assert found["failed calls"] == "0"
    assert float(found["calls a second that one core takes, without it"]) > 0
    assert found["CPU per call at 50 calls/s, without it"].endswith(" ms")


def test_calls_are_ordered_with_and_without_a_key() -> None:
    needs("sipp", "sip-tester")
    found = values(orders.run(orders.Load(rate=20, seconds=0.5, connections=2)))

    assert found["orders refused of 10 at 20 a second, without Idempotency-Key"] == "0"
    assert found["orders refused of 10 at 20 a second, with Idempotency-Key"] == "0"
    assert found["calls that did not end"] == "0"


def test_requests_are_answered_by_the_api_on_both_databases() -> None:
    found = values(api.run(api.Load(rate=20, seconds=0.5, connections=2)))

    assert found["SQLite: requests that failed, at 20 a second"] == "0"
    assert found.get("PostgreSQL: requests that failed, at 20 a second", "0") == "0"
    assert found["SQLite: CPU per request"].endswith(" ms")


def test_audio_goes_to_a_bot_over_a_websocket_and_back() -> None:
    found = values(stream.run(stream.Load(calls=3, seconds=0.4)))

    assert found["calls up of 3"] == "3"
    assert found["packets from sipflow that were lost"] == "0"
    assert float(found["frames that came back from the bot"].split()[0]) > 50


def test_opus_comes_back_and_it_is_told_where_the_time_goes() -> None:
    needs("espeak-ng", "espeak-ng")
    found = list(opus.run(opus.Load(calls=2, seconds=0.4, turns=1)))
    times = [float(line.value.split()[0]) for line in found if line.value.endswith(" us")]

    assert [line.met for line in found if line.what.endswith("up")] == [True, True]
    assert all(float(line.value.split()[0]) > 50 for line in found if "came back" in line.what)
    assert times[0] == pytest.approx(sum(times[1:4]), abs=0.3)
    assert [line.what.split(" that ")[-1] for line in found if line.value.endswith(" us")] == [
        "  CPU per call and frame, one in and one out",
        "decoding",
        "encoding",
        "everything else",
        "  CPU per call and frame, one in and one out",
        "resampling to 24 kHz and back",
    ]


def test_trunks_register_with_a_digest() -> None:
    found = values(trunks.run(trunks.Load(trunks=3)))

    assert found["trunks registered of 3"] == "3"


def test_a_soak_sees_calls_orders_webhooks_and_echoes_and_finds_nothing_left() -> None:
    needs("sipp", "sip-tester")
    found = list(soak.run(soak.Load(seconds=2.0, try_s=1.0, look_s=0.5, round_s=1.0, let_go_s=15.0)))
    counts = values(found)

    assert counts.pop("transactions left").isdigit()  # those are kept for half a minute (RFC 3261 §17.2)
    left = {what: count for what, count in counts.items() if what.endswith(" left")}
    assert left == dict.fromkeys(
        (f"{what} left" for what in ("calls", "dialogs", "lent", "tasks", "faults", "warnings in the log")), "0"
    )
    verdicts = {line.what.split(",")[0].strip(): line.met for line in found if line.met is not None}
    names = ("calls that failed", "echo calls without an echo", "orders refused", "orders whose end a webhook told")
    assert {name: verdicts[name] for name in names} == dict.fromkeys(names, True)


def test_of_what_is_looked_at_only_what_grew_is_missed() -> None:
    steady = [soak.Look(at, 0.3, 100.0, 50, 20, 5, 10, 10, 300, 0) for at in range(8)]
    growing = [replace(look, rss_mib=100.0 + 3 * look.at_s, tasks=20 + 5 * look.at_s) for look in steady]

    assert [line.met for line in soak.flatness(steady)] == [True] * 8
    assert [line.what.split(":")[0] for line in soak.flatness(growing) if not line.met] == ["rss_mib", "tasks"]


def test_every_strategy_of_pools_looks_at_a_handful_of_numbers() -> None:
    lines = list(pools.run(numbers=1000, calls=30))
    looks = [int(line.value) for line in lines if line.what.endswith("looked at for one choice")]

    assert len(lines) == 3 * 14
    assert max(looks) <= 5


def test_startup_ends_at_the_greeting() -> None:
    found = values(startup.run(startup.Load(rounds=1)))

    assert list(found) == ["until the greeting", "CPU for that"]


def test_memory_is_looked_at_when_the_calls_are_over() -> None:
    needs("sipp", "sip-tester")
    found = values(memory.run(memory.Load(after=(5, 10), rate=50, let_go_s=0.3)))

    assert (found["calls left"], found["dialogs left"], found["lent left"]) == ("0", "0", "0")
    assert found["tasks more than before"] == "0"
