from itertools import count

from sipflow.net.ring import Traced, TraceRing, call_id_of
from sipflow.sip.hop import Hop

PEER = Hop("udp", "192.0.2.7", 5060, "127.0.0.1", 5060)
OTHER = Hop("udp", "203.0.113.9", 40000, "127.0.0.1", 5060)


def message(call_id: str, *, size: int = 0) -> bytes:
    return f"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n".encode() + b"x" * size


def ring(**settings: int) -> TraceRing:
    clock = count(1)
    return TraceRing(**settings, wall=lambda: float(next(clock)))


def test_the_messages_of_a_call_are_kept_in_order_with_time_direction_and_hop() -> None:
    kept = ring()
    kept.received(message("one"), PEER)
    kept.sent(message("two"), PEER)
    kept.sent(message("one"), PEER)

    assert kept.of("one") == (Traced(1.0, False, PEER, message("one")), Traced(3.0, True, PEER, message("one")))
    assert kept.of("three") == ()


def test_each_message_is_kept_with_its_own_hop() -> None:
    kept = ring()
    ways = [PEER, OTHER, PEER, OTHER, PEER._replace(connection=7)]
    for way in ways:
        kept.received(message("one", size=way.connection), way)

    assert [(each.hop, each.data) for each in kept.of("one")] == [
        (way, message("one", size=way.connection)) for way in ways
    ]


def test_a_flood_of_strangers_pushes_out_strays_and_no_message_of_a_call() -> None:
    kept = ring(strays_bytes=10_000)
    kept.received(message("ours"), PEER)
    kept.claim("ours")
    for number in range(1000):
        kept.received(message(f"scan-{number}"), OTHER)

    assert [each.at for each in kept.of("ours")] == [1.0]
    assert kept.of("scan-0") == ()
    assert len(kept.of("scan-999")) == 1
    assert kept.size_bytes < 11_000
    assert kept.forgotten > 900


def test_when_there_is_no_room_the_call_that_began_first_goes_first_and_whole() -> None:
    kept = ring(calls_bytes=2_500)
    for name in ("a", "b", "c"):
        kept.claim(name)
        for _ in range(4):
            kept.received(message(name), PEER)

    assert [len(kept.of(name)) for name in ("a", "b", "c")] == [0, 4, 4]


def test_of_a_call_without_end_its_beginning_and_its_newest_messages_are_kept() -> None:
    kept = ring(call_messages=5)
    kept.claim("long")
    for _ in range(10):
        kept.received(message("long"), PEER)

    assert [each.at for each in kept.of("long")] == [1.0, 2.0, 8.0, 9.0, 10.0]
    assert kept.forgotten == 5


def test_one_huge_call_does_not_grow_without_bound() -> None:
    kept = ring(calls_bytes=50_000, call_messages=20)
    kept.claim("huge")
    for _ in range(100):
        kept.received(message("huge", size=1000), PEER)

    assert kept.size_bytes < 50_000


def test_strays_are_given_newest_last() -> None:
    kept = ring()
    for name in ("a", "b", "a"):
        kept.received(message(name), OTHER)

    assert [each.at for each in kept.strays(2)] == [2.0, 3.0]


def test_the_call_id_is_found_however_it_is_written() -> None:
    forms = [
        b"BYE sip:a SIP/2.0\r\nCall-ID: x1@h\r\n\r\n",
        b"BYE sip:a SIP/2.0\r\ncall-id:x1@h\r\n\r\n",
        b"BYE sip:a SIP/2.0\r\ni : x1@h\r\n\r\n",
        b"BYE sip:a SIP/2.0\r\nCALL-ID:   x1@h \r\n\r\n",
    ]
    assert {call_id_of(form) for form in forms} == {"x1@h"}
    assert call_id_of(b"\xff\x00 nothing") == ""
    assert call_id_of(b"BYE sip:a SIP/2.0\r\nCall-ID: " + b"y" * 5000 + b"\r\n") == "y" * 256


def test_a_call_has_the_messages_of_all_its_attempts_and_of_the_calls_on_its_behalf_in_order_of_time() -> None:
    kept = ring()
    kept.claim("first-try", "call")
    kept.sent(message("first-try"), PEER)
    kept.claim("second-try", "call")
    kept.sent(message("second-try"), PEER)
    kept.claim("leg-try", "leg")
    kept.sent(message("leg-try"), OTHER)
    kept.join("call", "leg")
    kept.received(message("first-try"), PEER)
    kept.received(message("stranger"), OTHER)

    assert [each.at for each in kept.of_owner("call")] == [1.0, 2.0, 3.0, 4.0]
    assert [each.at for each in kept.of_owner("leg")] == [3.0]
    assert kept.of_owner("nobody") == ()
    assert [kept.owner_of(name) for name in ("first-try", "leg-try", "stranger")] == ["call", "leg", ""]


def test_calls_on_behalf_of_each_other_are_no_endless_circle() -> None:
    kept = ring()
    for name in ("a", "b"):
        kept.claim(name, name)
        kept.sent(message(name), PEER)
    kept.join("a", "b")
    kept.join("b", "a")
    kept.join("a", "b")

    assert [each.at for each in kept.of_owner("a")] == [1.0, 2.0]


def test_nothing_is_left_of_a_call_whose_messages_have_gone() -> None:
    kept = ring(calls_bytes=2_500)
    for name in ("a", "b", "c"):
        kept.claim(name, f"call-{name}")
        kept.join(f"call-{name}", "another")
        for _ in range(4):
            kept.received(message(name), PEER)

    assert kept.of_owner("call-a") == ()
    assert len(kept.of_owner("call-c")) == 4
    assert list(kept._owners) == ["call-b", "call-c"]


def test_a_call_id_that_another_call_claims_is_that_ones() -> None:
    kept = ring()
    kept.claim("same", "first")
    kept.received(message("same"), PEER)
    kept.claim("same", "second")

    assert (kept.of_owner("first"), len(kept.of_owner("second"))) == ((), 1)
