"""CR, LF, NUL and terminal escapes get through nowhere: every way in, and every way out that it leads to."""

import io
import json
import re
from collections.abc import Callable

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipflow.calls.arrivals import ei_tokens
from sipflow.calls.dialling import plan_call
from sipflow.calls.variables import party, printable, variables_of
from sipflow.daemon.logs import set_up_logs
from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.admission import warning
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.reason import Reason
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.parser import parse_datagram
from sipflow.trunks.trunk import Trunk
from tests.security.peers import messages_of, sip

EVIL = st.text(st.sampled_from(list('ab\r\n\0\x1b\x07\x7f\x85\u2028\u202e"\\<>;:,@% =\x9b2J')), min_size=1, max_size=30)
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
TRUNK = Trunk(name="t", sip_domain="pbx.example.com", region="US")
LINES = re.compile(rb"[!-~]+:[^\x00-\x08\x0a-\x1f\x7f]*")
IDS = Ids(lambda count: bytes(range(256))[:1] * count)


def sound(message: Request | Response, headers: set[str], *, quoted: bool = False) -> bool:
    """Whether a message of ours has exactly these header lines, and none holds a control character.

    Args:
        quoted: whether one may hold quoted pairs (RFC 3261 §25.1), as the names of far ends may.
    """
    head, _, _ = bytes(message).partition(b"\r\n\r\n")
    head = re.sub(rb"\\[^\r\n\0]", b"", head) if quoted else head
    lines = head.split(b"\r\n")[1:]
    names = {line.partition(b":")[0].decode().lower() for line in lines}
    expected = {name.lower() for name in headers} | {"content-length"}
    return all(LINES.fullmatch(line) for line in lines) and names | {"content-length"} == expected


WAYS_OUT: dict[str, Callable[[str], object]] = {
    "header value": lambda text: plan_call("+12065550123", ids=IDS, trunk=TRUNK, headers={"X-A": text}),
    "header name": lambda text: plan_call("+12065550123", ids=IDS, trunk=TRUNK, headers={text: "a"}),
    "number called": lambda text: plan_call(text, ids=IDS, trunk=TRUNK),
    "address called": lambda text: plan_call(f"sip:{text}@pbx.example.com", ids=IDS, trunk=TRUNK),
    "host called": lambda text: plan_call(f"sip:a@{text}", ids=IDS),
    "number shown": lambda text: plan_call("+12065550123", ids=IDS, trunk=TRUNK, caller=text),
    "name shown": lambda text: plan_call("+12065550123", ids=IDS, trunk=TRUNK, caller=f'"{text}" <sip:a@b>'),
}


@pytest.mark.parametrize("way", WAYS_OUT)
@QUICK
@given(EVIL)
def test_an_invite_of_ours_has_the_lines_that_it_should_have_whatever_agent_and_api_say(way: str, text: str) -> None:
    try:
        plan = WAYS_OUT[way](text)
        request = Request("INVITE", str(plan.uri))  # type: ignore[attr-defined]
        for name, value in (("From", str(plan.from_)), ("To", str(plan.to)), *plan.headers):  # type: ignore[attr-defined]
            request.headers.add(name, value)
    except (LocalProtocolError, RemoteProtocolError):
        return  # it is refused, with a sentence

    names = {"From", "To"} | {name for name, _ in plan.headers}  # type: ignore[attr-defined]
    assert sound(request, names)
    assert not re.search(r"[\x00-\x20\x7f]", request.uri)


@QUICK
@given(EVIL)
def test_an_answer_of_ours_says_why_in_one_line_whatever_it_quotes(text: str) -> None:
    request = messages_of(sip())
    assert isinstance(request, Request)
    lines = [warning(text), ("Reason", str(Reason("SIP", 486, text)))]
    response = make_response(request, 486, headers=lines)

    assert sound(response, {"Via", "From", "To", "Call-ID", "CSeq", "Content-Length", "Warning", "Reason"})
    assert isinstance(parse_datagram(bytes(response)), Response)


@QUICK
@given(EVIL)
def test_a_reason_phrase_of_an_agent_is_one_line_or_is_refused(text: str) -> None:
    request = messages_of(sip())
    assert isinstance(request, Request)
    try:
        written = bytes(make_response(request, 486, text))
    except LocalProtocolError:
        return
    read = parse_datagram(written)

    assert isinstance(read, Response)
    assert sound(read, {"Via", "From", "To", "Call-ID", "CSeq", "Content-Length"})


@QUICK
@given(EVIL)
def test_a_display_name_is_quoted_or_refused(text: str) -> None:
    try:
        written = str(NameAddr(text, NameAddr.parse("<sip:a@b>").uri))
    except (LocalProtocolError, RemoteProtocolError):
        return
    request = Request("INVITE", "sip:a@b")
    try:
        request.headers.add("From", written)
    except LocalProtocolError:
        return

    assert sound(request, {"From"}, quoted=True)
    assert NameAddr.parse(written).uri == NameAddr.parse("<sip:a@b>").uri


@QUICK
@given(EVIL, EVIL)
def test_what_a_caller_writes_reaches_agents_as_values_and_the_log_as_one_line_that_prints(
    name: str, text: str
) -> None:
    line = f"X-{name}: {text}\r\nX-EI: S={text}\r\n".encode("utf-8", "surrogateescape")
    parsed = parse_datagram(sip(more=line, From=f'"{text}" <sip:%1b%5b2J%0d%0a@x>;tag=1'))
    if not isinstance(parsed, Request):
        return  # it is refused with 400, and no agent ever sees it
    stream, before = io.StringIO(), structlog.get_config()
    set_up_logs("info", "json", stream=stream)
    try:
        log = structlog.get_logger()
        log.info("call in", caller=party(parsed, "From"), variables=variables_of(parsed.headers), why=text, name=name)
        log.info("x", tokens=ei_tokens(parsed))
    finally:
        structlog.configure(**before)
    written = stream.getvalue()

    assert len(written.splitlines()) == written.count("\n") == 2
    assert [json.loads(each)["level"] for each in written.split("\n")[:2]] == ["info"] * 2
    assert written.replace("\n", "").isascii()
    assert all(each.isprintable() for each in (printable(text), party(parsed, "From")))


@QUICK
@given(EVIL)
def test_a_console_line_moves_no_cursor_whoever_wrote_it(text: str) -> None:
    stream, before = io.StringIO(), structlog.get_config()
    set_up_logs("info", "console", stream=stream)
    try:
        structlog.get_logger().info("call in", caller=text, variables={"X-A": text}, why=[text])
    finally:
        structlog.configure(**before)
    (line,) = stream.getvalue().removesuffix("\n").split("\n")

    assert line.isprintable()
