import pytest

from sipflow.errors import LocalProtocolError
from sipflow.webhooks.settings import Settings


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"secret": ("a good secret of many characters", "short")}, "secret: it is shorter than 16 characters"),
        ({"timeout_s": 0}, "timeout_s: it is not in 0.1..120"),
        ({"inbound_retries": 11}, "inbound_retries: it is not in 0..10"),
        ({"retry_first_s": 60, "retry_most_s": 5}, "retry_most_s: it is less than retry_first_s"),
        ({"keep_logs_days": 0}, "keep_logs_days: it is not in 0.01..3650"),
        ({"allow_networks": ("intranet",)}, "not a network: 'intranet'"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        Settings(**wrong)  # type: ignore[arg-type]

    assert str(refused.value).startswith(sentence)


def test_secrets_are_in_no_repr() -> None:
    assert "a good secret" not in repr(Settings(secret=("a good secret of many characters",)))


def test_every_event_is_wanted_unless_some_are_named() -> None:
    assert Settings().wants("digit")
    assert [Settings(events=("answered", "ended")).wants(name) for name in ("answered", "digit")] == [True, False]


def test_allowed_networks_are_networks() -> None:
    allowed = Settings(allow_networks=("10.0.0.0/8",)).allowed

    assert ("10.1.2.3" in allowed, "11.1.2.3" in allowed) == (True, False)
