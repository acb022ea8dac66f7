from sipflow.net.ladder import draw, label_of, rungs
from sipflow.net.ring import Traced
from sipflow.sip.hop import Hop

PEER = Hop("udp", "192.0.2.7", 5060, "127.0.0.1", 5060)
THIRD = Hop("tcp", "192.0.2.9", 5061, "127.0.0.1", 5060)
INVITE = b"INVITE sip:100@us SIP/2.0\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
RINGING = b"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n"
BUSY = b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n"

CALL = (
    Traced(100.0, False, PEER, INVITE),
    Traced(100.5, False, PEER, INVITE),
    Traced(100.51, True, PEER, RINGING),
    Traced(100.6, True, THIRD, INVITE),
    Traced(101.25, False, THIRD, BUSY),
)


def test_a_ladder_shows_who_sent_what_to_whom_and_when() -> None:
    assert draw(CALL, width=30) == "\n".join(
        [
            "            udp:192.0.2.7:5060            sipflow                       tcp:192.0.2.9:5061",
            "    0.000s  |------- INVITE (sdp) ------->|                             |",
            "    0.500s  |--- INVITE (sdp) (again) --->|                             |",
            "    0.510s  |<-- 180 Ringing to INVITE ---|                             |",
            "    0.600s  |                             |------- INVITE (sdp) ------->|",
            "    1.250s  |                             |<- 486 Busy Here to INVITE --|",
        ]
    )


def test_a_retransmission_is_marked() -> None:
    assert [rung.repeated for rung in rungs(CALL)] == [False, True, False, False, False]


def test_secrets_are_hidden_in_what_a_ladder_holds() -> None:
    register = b'REGISTER sip:pbx SIP/2.0\r\nAuthorization: Digest username="a", response="0123abcd"\r\n\r\n'
    (rung,) = rungs((Traced(1.0, True, PEER, register),))
    assert "0123abcd" not in rung.text
    assert 'username="a"' in rung.text


def test_terminal_escapes_never_reach_the_drawing() -> None:
    hostile = b"INV\x1b[2JITE sip:a SIP/2.0\r\n\r\n"
    assert "\x1b" not in draw((Traced(1.0, False, PEER, hostile),))


def test_a_call_of_which_nothing_is_kept_says_so() -> None:
    assert draw(()) == "no messages are kept of this call"


def test_labels_are_short_and_never_fail() -> None:
    assert label_of(b"") == ""
    assert label_of(b"BYE") == "BYE"
    assert label_of(b"SIP/2.0 200 OK\r\n\r\n") == "200 OK"
    assert len(label_of(b"SIP/2.0 200 " + b"x" * 500 + b"\r\nCSeq: 1 BYE\r\n\r\n")) == 60
