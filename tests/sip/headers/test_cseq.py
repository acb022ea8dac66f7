import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.cseq import CSeq


@pytest.mark.parametrize(
    ("text", "number", "method"),
    [
        ("1 INVITE", 1, "INVITE"),
        ("0009  INVITE", 9, "INVITE"),
        ("2147483647\tx-Y", 2**31 - 1, "x-Y"),
        ("00000000000000000001 A", 1, "A"),
        ("0 A", 0, "A"),
    ],
)
def test_a_cseq_is_read(text: str, number: int, method: str) -> None:
    assert CSeq.parse(text) == CSeq(number, method)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "INVITE",
        "1INVITE",
        "1 INVITE x",
        "2147483648 INVITE",
        "99999999999 INVITE",
        "+1 INVITE",
        "-1 INVITE",
        "1_0 INVITE",
        "٣ INVITE",
        "1 INV,ITE",
        "9" * 5000 + " INVITE",
        "0" * 5000 + " INVITE",
        " 1 INVITE",
    ],
)
def test_what_is_no_cseq_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        CSeq.parse(text)


@pytest.mark.parametrize("number", [-1, 2**31])
def test_we_never_make_a_cseq_out_of_range(number: int) -> None:
    with pytest.raises(LocalProtocolError):
        CSeq(number, "INVITE")


@given(st.integers(0, 2**31 - 1), st.from_regex(r"\A[-.!%*_+`'~0-9A-Za-z]+\Z"))
def test_every_cseq_prints_and_parses_the_same(number: int, method: str) -> None:
    assert CSeq.parse(str(CSeq(number, method))) == CSeq(number, method)
