"""What an operator can set about calls, and what is so when nothing is said."""

from dataclasses import asdict

from sipflow import __version__
from sipflow.calls.settings import Settings
from sipflow.calls.stranger_settings import StrangerSettings


def test_without_a_word_strangers_are_refused_and_calls_are_bounded() -> None:
    assert asdict(Settings()) == {
        "unknown_source": "reject",
        "strangers": asdict(StrangerSettings()),
        "drain_s": 30.0,
        "max_calls": 1000,
        "answer_timeout_s": 180.0,
        "keep_digits": False,
        "sounds": "",
        "speak": (),
        "user_agent": f"sipflow/{__version__}",
    }
