from sipflow.net.tally import MessageTally, kind_of
from sipflow.sip.hop import Hop

PEER = Hop("udp", "192.0.2.7", 5060)


def request(method: str, number: int = 1) -> bytes:
    return f"{method} sip:a@b SIP/2.0\r\nCSeq: {number} {method}\r\n\r\n".encode()


def test_messages_are_counted_by_direction_and_kind() -> None:
    tally = MessageTally()
    tally.received(request("INVITE"), PEER)
    tally.sent(b"SIP/2.0 100 Trying\r\n\r\n", PEER)
    tally.sent(b"SIP/2.0 180 Ringing\r\n\r\n", PEER)
    tally.sent(b"SIP/2.0 200 OK\r\n\r\n", PEER)
    tally.received(request("ACK"), PEER)
    tally.received(request("INVITE", 2), PEER)

    assert tally.messages == {
        ("received", "INVITE"): 2,
        ("received", "ACK"): 1,
        ("sent", "1xx"): 2,
        ("sent", "2xx"): 1,
    }
    assert tally.repeated == {"sent": 0, "received": 0}


def test_methods_that_strangers_invent_are_counted_together() -> None:
    tally = MessageTally()
    for number in range(2000):
        tally.received(request(f"X{number}"), PEER)
    tally.received(b"\xff\xfe", PEER)
    tally.received(b"", PEER)

    assert tally.messages == {("received", "other"): 2002}
    assert [kind_of(b"SIP/2.0 999 What\r\n"), kind_of(b"SIP/2.0 "), kind_of(b"INVITE")] == ["other"] * 3


def test_the_same_octets_the_same_way_are_a_retransmission_and_the_other_way_are_not() -> None:
    tally = MessageTally()
    for _ in range(3):
        tally.sent(request("REGISTER"), PEER)
    tally.received(request("REGISTER"), PEER)

    assert tally.repeated == {"sent": 2, "received": 0}


def test_what_is_remembered_of_messages_is_bounded() -> None:
    tally = MessageTally()
    tally.sent(request("OPTIONS", 0), PEER)
    for number in range(1, 50_000):
        tally.sent(request("OPTIONS", number), PEER)
    tally.sent(request("OPTIONS", 49_999), PEER)
    tally.sent(request("OPTIONS", 0), PEER)  # so long ago that nobody knows it any more

    assert tally.repeated["sent"] == 1
    assert sum(len(way.now) + len(way.before) for way in tally._ways.values()) <= 40_000


def test_what_nobody_repeats_any_more_is_forgotten_however_few_messages_there_are() -> None:
    now = [0.0]
    tally = MessageTally(lambda: now[0])
    repeated, known = [], []
    for at, method in ((0.0, "REGISTER"), (31.0, "REGISTER"), (33.0, "BYE"), (60.0, "REGISTER"), (150.0, "BYE")):
        now[0] = at
        tally.sent(request(method), PEER)
        repeated.append(tally.repeated["sent"])
        known.append(sum(len(way.now) + len(way.before) for way in tally._ways.values()))
    now[0] = 200.0
    tally.sent(request("INFO"), PEER)

    assert (repeated, known) == ([0, 1, 1, 2, 2], [1, 1, 2, 2, 1])
    assert tally.repeated["sent"] == 2
    assert sum(len(way.now) + len(way.before) for way in tally._ways.values()) == 2
