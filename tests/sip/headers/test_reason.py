import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.lines import Headers
from sipflow.sip.headers.reason import Reason, reasons_in, warning_in


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('Q.850;cause=16;text="Normal call clearing"', Reason("Q.850", 16, "Normal call clearing")),
        ('SIP ;cause=200 ;text="Call completed elsewhere"', Reason("SIP", 200, "Call completed elsewhere")),
        ("preemption", Reason("preemption")),
        ("Q.850;cause=99999;text=x", Reason("Q.850", None, "x")),
        ("Q.850;cause=+1", Reason("Q.850")),
    ],
)
def test_a_reason_is_read(text: str, reason: Reason) -> None:
    assert Reason.parse(text) == reason
    assert Reason.parse(str(reason)) == reason


@pytest.mark.parametrize("text", ["", ";cause=1", "a b", 'SIP;text="x', "SIP;;", "SIP;cause=1;cause=2"])
def test_what_is_no_reason_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Reason.parse(text)


def test_a_text_that_quotes_a_peer_cannot_inject_a_header() -> None:
    assert str(Reason("SIP", 400, 'bad "\r\nX: y\0"')) == r'SIP;cause=400;text="bad \" X: y \""'


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert Reason.parse(str(Reason("SIP", 486, text))) == Reason("SIP", 486, text)


def test_every_reason_of_a_message_is_read_and_a_broken_one_left_out() -> None:
    headers = Headers()
    for value in ("SIP;cause=200, Q.850;cause=16", ";;", '"', "preemption"):
        headers.add("Reason", value)

    assert reasons_in(headers) == [Reason("SIP", 200), Reason("Q.850", 16), Reason("preemption")]
    assert reasons_in(Headers()) == []


def test_the_text_of_the_first_warning_that_can_be_read_is_given() -> None:
    headers = Headers()
    for value in ("304", '305 pbx.example "', '399 192.0.2.1:5060 "No codec, \\"none\\" in common", 370 b "bandwidth"'):
        headers.add("Warning", value)

    assert warning_in(headers) == 'No codec, "none" in common'
    assert warning_in(Headers()) == ""
