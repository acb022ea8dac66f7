import pytest

from sipflow.calls.stranger_settings import SCANNERS, StrangerSettings
from sipflow.errors import LocalProtocolError


def test_without_a_word_a_stranger_has_some_patience_and_a_scanner_none() -> None:
    settings = StrangerSettings()

    assert (settings.refusals_burst, settings.most_refused, settings.most_users) == (10, 60, 20)
    assert (settings.shut_out_s, settings.never, settings.scanners) == (600.0, (), SCANNERS)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"refusals_per_s": 0.0}, "refusals_per_s: must be more than 0, not 0"),
        ({"most_users": 0}, "most_users: must be at least 1, not 0"),
        ({"shut_out_s": 90_000.0}, "shut_out_s: 90000 is not in 0..86400"),
        ({"scanners": ("a",)}, "scanners: a piece of less than three characters would fit half the world"),
        ({"never": ("10.0.0.1/8",)}, "never: not a network: '10.0.0.1/8' has bits set behind its mask; did you mean "),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        StrangerSettings(**wrong)  # type: ignore[arg-type]

    assert str(refused.value).startswith(sentence)
