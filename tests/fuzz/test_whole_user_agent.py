"""No bytes harm the user agent: whatever arrives, it raises nothing, and the next call goes through."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipflow.sip.hop import Hop
from sipflow.sip.parser import StreamParser
from tests.support.calls import Callee, plan_to
from tests.support.wire import Node, Wire

TORTURE = [file.read_bytes() for file in sorted((Path(__file__).parent.parent / "torture" / "data").glob("*.dat"))]
PIECES = [
    b"\r\n", b"\0", b"\xff", b"%00", b"Content-Length: 99999999999999999999", b"CSeq: 4294967296 INVITE", b";;,;", b'"',
    b"<sip:", b"Via: ", b"INVITE", b"SIP/2.0", b"999", b"Contact: *", b"To: x", b"Require: a", b"Route: <a>", b"tag=",
]  # fmt: skip
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A torture message with up to four wounds: cut, doubled, overwritten, or spliced with another."""
    data = draw(st.sampled_from(TORTURE))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 40)))
        wound = draw(st.sampled_from(["cut", "double", "piece", "splice"]))
        if wound == "cut":
            data = data[:at] + data[to:]
        elif wound == "double":
            data = data[:to] + data[at:]
        elif wound == "piece":
            data = data[:at] + draw(st.sampled_from(PIECES)) + data[to:]
        else:
            data = data[:at] + draw(st.sampled_from(TORTURE))[at:]
    return data


def a_call_goes_through(wire: Wire, alice: Node, caller: Callee) -> bool:
    call_id = f"after-{wire.now}"
    _, outputs = alice.ua.invite(plan_to("192.0.2.2", call_id=call_id), now=wire.now)
    alice.perform(outputs)
    wire.run(until=wire.now + 2.0)
    return call_id in caller.confirmed


@QUICK
@given(st.lists(mangled() | st.binary(max_size=300), min_size=1, max_size=4))
def test_no_datagrams_stop_a_user_agent(datagrams: list[bytes]) -> None:
    wire, caller = Wire(), Callee()
    alice = wire.node("192.0.2.1", caller)
    wire.node("192.0.2.2", Callee())

    for datagram in datagrams:
        wire.inject("192.0.2.9", "192.0.2.2", datagram)
    wire.run(until=0.5)

    assert a_call_goes_through(wire, alice, caller)


@QUICK
@given(st.lists(mangled(), min_size=1, max_size=3), st.integers(1, 500))
def test_no_stream_stops_a_user_agent(messages: list[bytes], piece: int) -> None:
    wire, caller = Wire(), Callee()
    alice = wire.node("192.0.2.1", caller)
    bob = wire.node("192.0.2.2", Callee())
    parser = StreamParser()
    data = b"".join(messages)

    for at in range(0, len(data), piece):
        for parsed in parser.feed(data[at : at + piece]):
            hop = Hop("tcp", "192.0.2.9", 40000, "192.0.2.2", 5060, connection=1)
            bob.perform(bob.ua.receive(parsed, hop, now=wire.now))
        if parser.broken:
            break

    assert a_call_goes_through(wire, alice, caller)


@QUICK
@given(st.data())
def test_mangled_copies_of_a_calls_own_messages_do_not_end_it_for_others(data: st.DataObject) -> None:
    wire, caller = Wire(), Callee()
    alice = wire.node("192.0.2.1", caller)
    wire.node("192.0.2.2", Callee())
    assert a_call_goes_through(wire, alice, caller)

    for _, _, sent in list(wire.sent):
        at = data.draw(st.integers(0, len(sent) - 1))
        wound = data.draw(st.sampled_from(PIECES))
        wire.inject("192.0.2.9", "192.0.2.2", sent[:at] + wound + sent[at + 1 :])
    wire.run(until=wire.now + 1.0)

    assert a_call_goes_through(wire, alice, caller)
