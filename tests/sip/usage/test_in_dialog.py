"""What every request of ours inside a dialog carries, by its method (RFC 3261 §12.2.1.1, table 2)."""

import pytest

from sipflow.sip.outputs import OfferAnswered
from sipflow.sip.usage.in_dialog import ignore_outcome, ignore_provisional, request_in
from tests.support.calls import SDP, answered


@pytest.mark.parametrize(
    ("method", "extra"),
    [
        ("INVITE", ["Contact", "Allow", "Supported"]),
        ("UPDATE", ["Contact", "Allow", "Supported"]),
        ("REFER", ["Contact", "Allow"]),
        ("NOTIFY", ["Contact"]),
        ("OPTIONS", ["Contact"]),
        ("BYE", []),
        ("INFO", []),
        ("MESSAGE", []),  # RFC 3428 §4: no Contact
        ("PRACK", []),
    ],
)
def test_contact_and_allow_stand_where_they_belong(method: str, extra: list[str]) -> None:
    wire, alice, bob, usage = answered()
    request = usage.client_request(method, on_final=ignore_outcome, headers=(("X-A", "1"),))
    alice.perform(request.start(now=wire.now))
    wire.play()

    names = [name for name, _ in bob.request(method).headers]
    always = ["Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq"]
    assert names == [*always, *extra, "X-A", "User-Agent", "Content-Length"]
    request.abandon()


def test_a_dialog_without_a_call_has_requests_too() -> None:
    wire, alice, bob, usage = answered()
    request = request_in(usage._stack, usage.established, "NOTIFY", on_final=ignore_outcome, advertise="alice.example")
    alice.perform(request.start(now=wire.now))
    wire.play()

    heard = bob.request("NOTIFY")
    assert (heard.via.host, heard.headers.get("Contact")) == ("alice.example", "<sip:alice@alice.example:5060>")
    bob.reply(heard, 481)


def test_progress_of_a_request_inside_a_dialog_interests_nobody() -> None:
    _, _, bob, usage = answered()
    assert usage.hop is not None
    assert ignore_provisional(bob.reply(bob.request("INVITE"), 180), usage.hop, 0.0) == []


def test_a_reliable_response_to_our_reinvite_gets_its_prack_and_brings_the_answer_rfc3262_4() -> None:
    wire, alice, bob, usage = answered()
    alice.perform(usage.offer(lambda: SDP, now=wire.now))
    wire.play()
    reinvite = bob.request("INVITE")
    reliable = (("Require", "100rel"), ("RSeq", "7"))
    for _ in range(2):  # the second is a repetition
        bob.reply(reinvite, 183, body=SDP, headers=reliable)
        wire.play()
    prack = bob.request("PRACK")
    bob.reply(prack, 200)
    bob.reply(reinvite, 200)
    wire.play()

    assert wire.methods()[-7:] == ["a INVITE", "b 183", "a PRACK", "b 183", "b 200", "b 200", "a ACK"]
    assert (prack.headers.get("RAck"), str(prack.cseq)) == ("7 2 INVITE", "3 PRACK")
    assert [event[1:] for event in alice.happened(OfferAnswered)] == [(200, SDP)]
