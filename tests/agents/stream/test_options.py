"""A sentence for everything that can be wrong with the options of a stream, and no secret in any of them."""

from pathlib import Path

import pytest

from sipflow.agents.stream.jambonz import Jambonz
from sipflow.agents.stream.messages import Start
from sipflow.agents.stream.options import StreamOptions, read_options
from sipflow.agents.stream.telnyx import Telnyx
from sipflow.agents.stream.twilio import Twilio
from sipflow.agents.stream.vonage import Vonage
from sipflow.errors import AgentError
from tests.net.certificates import make_certificates

URL = "wss://bot.example.com/ws"
START = Start("call-1", "1", "2")


def read(**options: object) -> StreamOptions:
    return read_options({"url": URL, "dialect": "twilio", **options})


def test_a_url_and_a_dialect_are_enough() -> None:
    assert read() == StreamOptions(url=URL, dialect="twilio")


@pytest.mark.parametrize(
    ("dialect", "kind", "rate_hz"),
    [("twilio", Twilio, 8000), ("telnyx", Telnyx, 8000), ("vonage", Vonage, 16000), ("jambonz", Jambonz, 8000)],
)
def test_each_dialect_has_its_own_rate(dialect: str, kind: type, rate_hz: int) -> None:
    spoken = read(dialect=dialect).speak(START)

    assert (type(spoken), spoken.sample_rate_hz) == (kind, rate_hz)


def test_rates_can_be_chosen_where_the_dialect_has_several() -> None:
    assert read(dialect="vonage", sample_rate_hz=24000).speak(START).sample_rate_hz == 24000
    assert read(dialect="jambonz", sample_rate_hz=48000).speak(START).sample_rate_hz == 48000
    assert read(dialect="telnyx", codec="L16", sample_rate_hz=16000).speak(START).sample_rate_hz == 16000


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"uri": "x"}, "handler stream takes no option uri: it has answer, ca_file, codec, "),
        ({"url": ""}, "handler stream: url must be text"),
        ({"url": "https://bot.example.com"}, "handler stream: url must begin with ws:// or wss:// and name a host"),
        ({"url": "wss://"}, "handler stream: url must begin with ws:// or wss:// and name a host"),
        ({"url": "wss://bot:99999/"}, "handler stream: url cannot be read: Port out of range 0-65535"),
        ({"url": "wss://[::1/"}, "handler stream: url cannot be read: Invalid IPv6 URL"),
        ({"url": "wss://me:pw@bot/"}, "handler stream: url takes no #fragment and no user"),
        ({"url": "wss://bot/#a"}, "handler stream: url takes no #fragment and no user"),
        ({"url": "wss://bot/a b"}, "handler stream: url has characters that must be written as %XX"),
        ({"url": "wss://bot/ä"}, "handler stream: url has characters that must be written as %XX"),
        ({"dialect": "plivo"}, "handler stream: dialect is 'plivo', not one of twilio, telnyx, vonage, jambonz"),
        ({"answer": "soon"}, "handler stream: answer is 'soon', not one of connected, first_audio, at_once"),
        ({"on_close": "wait"}, "handler stream: on_close is 'wait', not one of hangup, fallback"),
        ({"on_close": "fallback"}, "handler stream: on_close is fallback, and there is no fallback"),
        ({"headers": "x"}, "handler stream: headers must be names with a value each"),
        ({"headers": {"A": ["sesame"]}}, "handler stream: headers.A must be text"),
        ({"headers": {"A B": "sesame"}}, "handler stream: headers.'A B' cannot be written as a header line"),
        ({"headers": {"A": "sesame\r\nX: y"}}, "handler stream: headers.'A' cannot be written as a header line"),
        ({"headers": {"Host": "x"}}, "handler stream: header Host belongs to the handshake itself"),
        ({"headers": {"Sec-WebSocket-Key": "x"}}, "handler stream: header Sec-WebSocket-Key belongs to the"),
        ({"parameters": ["x"]}, "handler stream: parameters must be names with a value each"),
        ({"sign_secret": "sesame"}, "handler stream: sign_secret has less than 16 characters"),
        ({"codec": "PCMA"}, "handler stream: codec is for dialect telnyx, not twilio"),
        ({"dialect": "telnyx", "codec": "GSM"}, "handler stream: codec is 'GSM', not one of PCMU, PCMA, L16"),
        ({"sample_rate_hz": 16000}, "handler stream: sample_rate_hz is 16000, and twilio has 8000"),
        (
            {"dialect": "telnyx", "sample_rate_hz": 16000},
            "handler stream: sample_rate_hz is 16000, and telnyx has 8000",
        ),
        (
            {"dialect": "vonage", "sample_rate_hz": 44100},
            "handler stream: sample_rate_hz is 44100, and vonage has 8000 or 16000 or 24000",
        ),
        ({"sample_rate_hz": "8000"}, "handler stream: sample_rate_hz must be a whole number"),
        ({"ping_s": True}, "handler stream: ping_s must be a number"),
        ({"ping_s": float("nan")}, "handler stream: ping_s is nan, not from 0.05 to 3600"),
        ({"ping_s": 40}, "handler stream: drop_s (30.0) must be more than ping_s (40)"),
        ({"max_message_bytes": 10}, "handler stream: max_message_bytes is 10, not from 1024 to "),
        ({"fallback": "desk", "fallback_status": 486}, "handler stream: fallback and fallback_status exclude each"),
        ({"fallback_file": "nowhere.wav"}, "handler stream: no file nowhere.wav"),
        ({"fallback_status": 200}, "handler stream: fallback_status is 200, not from 300 to 699"),
        ({"ca_file": "nowhere.pem"}, "handler stream: ca_file nowhere.pem cannot be used: No such file or directory"),
        ({"url": "ws://bot/", "ca_file": "a.pem"}, "handler stream: ca_file is for a wss:// url"),
        (
            {"dialect": "vonage", "parameters": {"event": "x"}},
            "handler stream: dialect vonage has its own event: name the parameter otherwise",
        ),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(options: dict[str, object], why: str) -> None:
    with pytest.raises(AgentError) as error:
        read(**options)

    assert str(error.value).startswith(why)
    assert "sesame" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dialect": "twilio"}, "handler stream needs `url`: where the bot's WebSocket is"),
        ({"url": URL}, "handler stream needs `dialect`: one of twilio, telnyx, vonage, jambonz"),
    ],
)
def test_what_is_needed_is_named(options: dict[str, object], why: str) -> None:
    with pytest.raises(AgentError) as error:
        read_options(options)

    assert str(error.value).startswith(why)


def test_parameters_may_be_numbers_and_yes_or_no() -> None:
    assert read(parameters={"a": 1, "b": 2.5, "c": True, "d": "{caller}"}).parameters == {
        "a": "1",
        "b": "2.5",
        "c": "true",
        "d": "{caller}",
    }


def test_an_authority_of_ones_own_is_trusted(tmp_path: Path) -> None:
    ca = make_certificates(tmp_path).ca

    assert read(ca_file=str(ca)).trust() is not None
    assert read(url="ws://bot/").trust() is None


def test_only_the_host_of_the_url_is_for_the_log_and_no_secret_is_shown() -> None:
    options = read(
        url="wss://bot.example.com:8443/ws?token=sesame",
        headers={"Authorization": "Bearer sesame"},
        sign_secret="sesame sesame sesame",
        parameters={"key": "sesame"},
    )

    assert options.host == "bot.example.com:8443"
    assert read().host == "bot.example.com"
    assert "sesame" not in repr(options)
