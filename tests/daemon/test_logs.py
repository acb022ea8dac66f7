"""How log lines look, whatever strangers write into them."""

import io
import json
import re

import pytest
import structlog

from sipflow.api.log_ring import LogRing
from sipflow.daemon.logs import set_up_logs
from sipflow.net.trace import LogTracer
from sipflow.sip.hop import Hop

NASTY = "a\r\nb\x1b[2J\x07\x00\u2028\u202e\udcff\x9b31m"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]")  # all but the line end
INVITE = b"INVITE sip:x@y SIP/2.0\r\nCall-ID: 1@a\r\nSubject: \x1b[2Jhello\r\n\r\n"


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self) -> bool:
        return True


def written(form: str, level: str = "info", out: io.StringIO | None = None) -> io.StringIO:
    stream = out if out is not None else io.StringIO()
    set_up_logs(level, form, stream=stream)
    return stream


def explode(password: str) -> None:
    raise ValueError(f"no good{NASTY}")


def test_json_is_one_object_a_line_whatever_strangers_write() -> None:
    out = written("json")
    log = structlog.get_logger("t")
    raw = NASTY.encode("utf-8", "surrogateescape")
    log.info(NASTY, call="c1", why=NASTY, list=[NASTY], nested={"k": NASTY}, error=ValueError(NASTY), raw=raw)
    log.warning("second")

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning"]
    assert lines[0]["why"] == r"a\r\nb\x1b[2J\x07\x00\u2028\u202e\udcff\x9b31m"
    assert CONTROL.search(out.getvalue()) is None


def test_console_is_one_line_an_event_and_moves_no_cursor() -> None:
    out = written("console")
    log = structlog.get_logger("t")
    log.info(NASTY, call="c1", why=NASTY, list=[NASTY], error=ValueError(NASTY))
    log.warning("second")

    assert len(out.getvalue().splitlines()) == 2
    assert CONTROL.search(out.getvalue()) is None


@pytest.mark.parametrize("form", ["console", "json"])
def test_traceback_shows_no_variables_and_no_escapes(form: str) -> None:
    out, password = written(form), "".join(["open", " sesame"])
    try:
        explode(password)
    except ValueError:
        structlog.get_logger("t").exception("the agent raised", call="c1")

    assert "in explode" in out.getvalue()
    assert r"ValueError: no gooda" in out.getvalue()
    assert "open sesame" not in out.getvalue()
    assert CONTROL.search(out.getvalue()) is None
    assert form == "console" or len(out.getvalue().splitlines()) == 1


def test_sip_message_stands_below_its_line_for_people() -> None:
    out = written("console", "debug")
    LogTracer().received(INVITE, Hop("udp", "192.0.2.1", 5060))

    first, *rest = out.getvalue().splitlines()
    assert "sip received" in first
    assert "message" not in first
    assert rest == ["    INVITE sip:x@y SIP/2.0", "    Call-ID: 1@a", r"    Subject: \x1b[2Jhello"]


def test_sip_message_is_one_value_for_machines() -> None:
    out = written("json", "debug")
    LogTracer().received(INVITE, Hop("udp", "192.0.2.1", 5060))

    (line,) = [json.loads(line) for line in out.getvalue().splitlines()]
    assert line["message"] == "INVITE sip:x@y SIP/2.0\nCall-ID: 1@a\nSubject: \\x1b[2Jhello\n\n"
    assert (line["call_id"], line["hop"]) == ("1@a", "udp:192.0.2.1:5060")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, expected: list[str]) -> None:
    out = written("json", level)
    for each in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger("t"), each)("said")

    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == expected


def test_auto_is_colour_for_a_person_and_json_elsewhere() -> None:
    person, machine = written("auto", out=Terminal()), io.StringIO()
    structlog.get_logger("t").info("said", why="so")
    written("auto", out=machine)
    structlog.get_logger("t").info("said", why="so")

    assert "\x1b[" in person.getvalue()
    assert json.loads(machine.getvalue())["why"] == "so"


def test_the_call_stands_first() -> None:
    out = written("json")
    structlog.get_logger("t").info("said", why="so", trunk="pbx", call="c1")

    assert list(json.loads(out.getvalue()))[:2] == ["call", "trunk"]


def test_the_last_lines_are_kept_as_they_are_written_numbers_hidden_too() -> None:
    ring, out = LogRing(), io.StringIO()
    set_up_logs("info", "json", mask_numbers=True, stream=out, ring=ring)
    structlog.get_logger("t").debug("not written")
    structlog.get_logger("t").info("call from +12065550100\x1b[2J", call="c1", digit="5")

    assert [line[2:] for line in ring.tail(10)] == [
        ("info", "call from +120***00\\x1b[2J", "c1", {"digit": "***"}),
    ]  # fmt: skip
