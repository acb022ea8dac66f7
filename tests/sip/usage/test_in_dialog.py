"""What every request of ours inside a dialog carries, by its method (RFC 3261 §12.2.1.1, table 2)."""

import pytest

from sipflow.sip.usage.in_dialog import ignore_provisional, request_in
from sipflow.sip.usage.invite import ignore_outcome
from tests.support.calls import answered


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
