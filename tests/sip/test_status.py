import pytest

from sipflow.sip.status import REASONS, reason_phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(100, "Trying"), (200, "OK"), (487, "Request Terminated"), (504, "Server Time-out"), (603, "Decline")],
)
def test_known_statuses_have_their_phrase(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


@pytest.mark.parametrize(("status", "phrase"), [(299, "OK"), (499, "Request Failed"), (699, "Refused Everywhere")])
def test_other_statuses_have_their_class_s(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


@pytest.mark.parametrize("status", [-1, 0, 99, 700, 4294967301])
def test_what_is_no_status_has_no_phrase(status: int) -> None:
    assert reason_phrase(status) == ""


def test_every_phrase_fits_a_status_line() -> None:
    assert all(100 <= status < 700 and phrase.isascii() and phrase.isprintable() for status, phrase in REASONS.items())
