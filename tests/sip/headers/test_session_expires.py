"""Session-Expires and Min-SE as peers write them (RFC 4028 §4, §5)."""

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.session_expires import SessionExpires, parse_min_se


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1800", SessionExpires(1800)),
        ("1800;refresher=uac", SessionExpires(1800, "uac")),
        ("90 ; refresher = UAS", SessionExpires(90, "uas")),
        ("4000;refresher=proxy", SessionExpires(4000)),
        ('600;x="a;b";refresher=uas', SessionExpires(600, "uas")),
        ("0", SessionExpires(0)),
        ("4294967295", SessionExpires(4294967295)),
    ],
)
def test_what_can_be_read(value: str, expected: SessionExpires) -> None:
    assert SessionExpires.parse(value) == expected


@pytest.mark.parametrize("value", ["", "soon", "-90", "+90", "9_0", "٣", "4294967296", "9" * 5000, "90;", "90;a=1;a=2"])
def test_what_cannot(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        SessionExpires.parse(value)


def test_it_is_written_as_it_is_read() -> None:
    assert [str(SessionExpires(90)), str(SessionExpires(90, "uas"))] == ["90", "90;refresher=uas"]


@pytest.mark.parametrize(
    ("value", "expected"), [("90", 90), (" 120 ;x=1", 120), ("", None), ("x", None), ("1e3", None), ("9" * 5000, None)]
)
def test_min_se_is_a_number_or_nothing(value: str, expected: int | None) -> None:
    assert parse_min_se(value) == expected
