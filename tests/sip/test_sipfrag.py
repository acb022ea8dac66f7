"""The status line in a body of type message/sipfrag (RFC 3420)."""

import pytest

from sipflow.sip.sipfrag import Fragment, read_sipfrag, write_sipfrag


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"SIP/2.0 100 Trying\r\n", Fragment(100, "Trying")),
        (b"SIP/2.0 200 OK", Fragment(200, "OK")),
        (b"\r\nsip/2.0  486\tBusy Here\r\nTo: x\r\n\r\n", Fragment(486, "Busy Here")),
        (b"SIP/2.0 603", Fragment(603, "")),
        (b'SIP/2.0 500 "\x00\xff', Fragment(500, "''\ufffd")),
    ],
)
def test_a_status_line_is_read(body: bytes, expected: Fragment) -> None:
    assert read_sipfrag(body) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"200 OK", b"SIP/2.0 2000 OK", b"SIP/2.0 099 x", b"SIP/3.0 200 OK", b"INVITE sip:b SIP/2.0", b" " * 9999],
)
def test_anything_else_is_nothing(body: bytes) -> None:
    assert read_sipfrag(body) is None


def test_a_status_line_is_written_and_quotes_nothing_that_breaks_it() -> None:
    assert write_sipfrag(100) == b"SIP/2.0 100 Trying\r\n"
    assert write_sipfrag(486, "a\r\nb") == b"SIP/2.0 486 a''b\r\n"
