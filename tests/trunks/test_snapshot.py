"""How a registration is told to those outside."""

from datetime import UTC, datetime, timedelta

import pytest

from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.runner import RegistrationStatus
from sipflow.trunks.snapshot import RegistrationSnapshot, snapshot_of

WALL = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW = 1000.0
S = RegistrationState


@pytest.mark.parametrize(
    ("state", "until", "retry", "error", "doubt", "snapshot"),
    [
        (S.UNREGISTERED, None, None, "", "", ("registering", "the registrar has not answered yet", None, None)),
        (S.REGISTERING, None, None, "", "", ("registering", "the registrar has not answered yet", None, None)),
        (S.REGISTERED, 1120.0, 1060.0, "", "", ("registered", "calls reach us", 120, None)),
        (S.REGISTERED, 1120.0, 1060.0, "", "behind NAT", ("registered", "behind NAT", 120, None)),
        (S.FAILED, None, 1005.0, "trunk pbx: no answer", "", ("failed", "no answer", None, 5)),
        (S.REJECTED, None, 1300.0, "trunk pbx: 403 Forbidden", "", ("failed", "403 Forbidden", None, 300)),
        (S.UNREGISTERING, 1060.0, None, "", "", ("unregistering", "the registrar has not answered yet", None, None)),
    ],
)
def test_registration_is_told_with_a_word_a_sentence_and_until_when(
    state: RegistrationState,
    until: float | None,
    retry: float | None,
    error: str,
    doubt: str,
    snapshot: tuple[str, str, int | None, int | None],
) -> None:
    status = RegistrationStatus("pbx", state, until, retry, error, doubt, None, None)
    word, sentence, until_s, retry_s = snapshot

    assert snapshot_of(status, now=NOW, wall=WALL) == RegistrationSnapshot(word, sentence, _at(until_s), _at(retry_s))


def _at(seconds: int | None) -> datetime | None:
    return None if seconds is None else WALL + timedelta(seconds=seconds)
