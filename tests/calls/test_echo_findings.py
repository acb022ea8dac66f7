"""A call to an echo, judged."""

from dataclasses import replace

import pytest

from sipflow.calls.echo_findings import EchoCall, judge_echo
from sipflow.media.statistics import MediaStatistics
from sipflow.trunks.findings import Finding, Judgement

MEDIA = MediaStatistics(codec="PCMU", packets_received=100, jitter_ms=1.5, opinion=4.4)
GOOD = EchoCall(
    "600", setup_ms=20.0, tone_dbfs=-12.3, media=MEDIA, digits="as events", held=0, after_hold=30, answers=1,
    session="1800;refresher=uac",
)  # fmt: skip


def steps(call: EchoCall) -> dict[str, Finding]:
    return {found.step: found for found in judge_echo(call)}


def test_good_call_is_good_in_every_step() -> None:
    found = judge_echo(GOOD)

    assert [(each.step, each.text) for each in found] == [
        ("dial", "600 answered"),
        ("ack", "our ACK arrives: the answer came once"),
        ("audio", "both ways: our tone came back at -12 dBFS, sent at -12"),
        ("quality", "PCMU, loss 0.0 %, jitter 1.5 ms, MOS 4.4"),
        ("dtmf", "a digit was sent as events"),
        ("hold", "hold and taking back work"),
        ("timers", "the session is refreshed: 1800;refresher=uac"),
        ("hangup", "our BYE was answered"),
    ]
    assert {each.judgement for each in found} == {Judgement.OK}


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "password"), (403, "from_user"), (404, "number_format"), (408, "echo"), (488, "codecs"), (500, "log")],
)
def test_call_that_was_refused_is_one_finding_with_advice(status: int, advice: str) -> None:
    (found,) = judge_echo(EchoCall("600", status=status, why="No"))

    assert (found.judgement, found.text) == (Judgement.FAILED, f"600: {status} No")
    assert advice in found.advice


@pytest.mark.parametrize(
    ("changes", "judgement", "words"),
    [
        ({"media": MediaStatistics(), "tone_dbfs": None}, Judgement.FAILED, "nothing is heard of the far end"),
        ({"tone_dbfs": -80.0}, Judgement.FAILED, "one way only: 100 packets came, and our tone is not in them"),
        ({"tone_dbfs": None}, Judgement.FAILED, "one way only"),
        ({"tone_dbfs": -35.0}, Judgement.WARNING, "our tone came back at -35 dBFS"),
    ],
)
def test_audio_that_goes_one_way_is_told_by_its_way(
    changes: dict[str, object], judgement: Judgement, words: str
) -> None:
    audio = steps(replace(GOOD, **changes))["audio"]  # type: ignore[arg-type]

    assert (audio.judgement, audio.text.startswith(words)) == (judgement, True)


@pytest.mark.parametrize(
    ("step", "changes", "judgement"),
    [
        ("ack", {"answers": 3}, Judgement.WARNING),
        ("quality", {"media": replace(MEDIA, lost=5)}, Judgement.WARNING),
        ("quality", {"media": replace(MEDIA, jitter_ms=80.0)}, Judgement.WARNING),
        ("dtmf", {"digits_failed": "a digit could not be sent: 415"}, Judgement.FAILED),
        ("hold", {"hold_failed": "the far end refused to be put on hold: 488"}, Judgement.WARNING),
        ("hold", {"after_hold": 0}, Judgement.FAILED),
        ("hold", {"held": 12}, Judgement.OK),
        ("timers", {"session": ""}, Judgement.OK),
        ("hangup", {"goodbye": False}, Judgement.WARNING),
    ],
)
def test_what_is_wrong_is_found_in_its_step(step: str, changes: dict[str, object], judgement: Judgement) -> None:
    assert steps(replace(GOOD, **changes))[step].judgement is judgement  # type: ignore[arg-type]


def test_what_was_not_tried_is_not_told() -> None:
    assert {"hold", "ack", "dtmf"} & steps(replace(GOOD, held=None, answers=0, digits="")).keys() == set()
