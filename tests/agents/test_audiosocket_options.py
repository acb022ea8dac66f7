from pathlib import Path

import pytest

from sipflow.agents.audiosocket_options import AudioSocketOptions, read_options
from sipflow.errors import AgentError

BOT = {"address": "bot.example.com:9092"}


def test_an_address_is_all_that_is_needed() -> None:
    assert read_options(BOT) == AudioSocketOptions("bot.example.com", 9092)


@pytest.mark.parametrize(
    ("address", "host", "written"),
    [("127.0.0.1:1", "127.0.0.1", "127.0.0.1:1"), ("[2001:db8::1]:9092", "2001:db8::1", "[2001:db8::1]:9092")],
)
def test_addresses_of_both_kinds_are_read(address: str, host: str, written: str) -> None:
    read = read_options({"address": address})

    assert (read.host, read.address) == (host, written)


def test_every_option_is_read(tmp_path: Path) -> None:
    options = {
        "sample_rate_hz": 16000, "answer": "at_once", "connect_timeout_s": 1, "drop_s": 5, "on_close": "fallback",
        "fallback": "desk",
    }  # fmt: skip

    assert read_options({**BOT, **options}) == AudioSocketOptions(
        "bot.example.com", 9092, 16000, "at_once", 1.0, 5.0, "fallback", "desk"
    )
    assert read_options({**BOT, "fallback_status": 486}).fallback_status == 486


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "needs `address`"),
        ({"address": "bot"}, "not host:port"),
        ({"address": "bot:0"}, "not host:port"),
        ({"address": "bot:65536"}, "not host:port"),
        ({"address": "::1:9092"}, "not host:port"),
        ({"address": "bot:٣"}, "not host:port"),
        ({"address": 9092}, "not host:port"),
        ({**BOT, "url": "ws://bot"}, "takes no option url"),
        ({**BOT, "sample_rate_hz": 11025}, "not one of 8000, 12000"),
        ({**BOT, "sample_rate_hz": [8000]}, "not one of 8000, 12000"),
        ({**BOT, "answer": "later"}, "not one of connected, at_once"),
        ({**BOT, "drop_s": 0}, "not a number from 0.1 to 7200"),
        ({**BOT, "drop_s": True}, "not a number"),
        ({**BOT, "connect_timeout_s": float("nan")}, "not a number"),
        ({**BOT, "fallback": ""}, "not a text"),
        ({**BOT, "fallback_status": 200}, "not one from 300 to 699"),
        ({**BOT, "fallback": "a", "fallback_status": 486}, "exclude each other"),
        ({**BOT, "fallback_file": "nowhere.wav"}, "is no file"),
        ({**BOT, "on_close": "fallback"}, "there is no fallback"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(AgentError, match=why):
        read_options(options)
