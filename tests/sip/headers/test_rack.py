"""RSeq and RAck (RFC 3262 §7)."""

import pytest

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.cseq import CSeq
from sipflow.sip.headers.rack import RAck, parse_rseq


@pytest.mark.parametrize(
    ("value", "rack"),
    [
        ("776656 1 INVITE", RAck(776656, CSeq(1, "INVITE"))),
        ("0001\t 0042  INVITE", RAck(1, CSeq(42, "INVITE"))),
        ("4294967295 2147483647 INVITE", RAck(2**32 - 1, CSeq(2**31 - 1, "INVITE"))),
    ],
)
def test_a_rack_names_rseq_cseq_and_method(value: str, rack: RAck) -> None:
    assert RAck.parse(value) == rack
    assert RAck.parse(str(rack)) == rack


@pytest.mark.parametrize(
    "value",
    ["", "1", "1 1", "1 INVITE", "0 1 INVITE", "4294967296 1 INVITE", "1 2147483648 INVITE", "1 1 INV ITE",
     "+1 1 INVITE", "1_0 1 INVITE", "² 1 INVITE", "9" * 5000 + " 1 INVITE", "1 1 INVITE\n"],
)  # fmt: skip
def test_what_is_no_rack_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        RAck.parse(value)


@pytest.mark.parametrize(("value", "number"), [("1", 1), ("007", 7), ("4294967295", 2**32 - 1)])
def test_an_rseq_is_a_number_from_1(value: str, number: int) -> None:
    assert parse_rseq(value) == number


@pytest.mark.parametrize("value", ["", "0", "4294967296", "-1", "1 2", "x", "9" * 5000])
def test_what_is_no_rseq_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_rseq(value)


def test_we_never_write_an_rseq_of_zero() -> None:
    with pytest.raises(LocalProtocolError):
        RAck(0, CSeq(1, "INVITE"))
