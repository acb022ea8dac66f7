"""Events are tuples: whoever matches them by position must go on working when one grows."""

import pytest

from sipflow.sip import outputs
from sipflow.sip.message import Response


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Resolve", ("key", "uri")),
        ("InviteReceived", ("usage", "request", "hop", "replaces")),
        ("RequestReceived", ("transaction", "request", "hop")),
        ("Refused", ("request", "hop", "status", "why")),
        ("Progressed", ("usage", "response", "body", "reliable")),
        ("EarlyOffer", ("usage", "response", "body")),
        ("Confirmed", ("usage", "message", "body")),
        ("OfferReceived", ("usage", "transaction", "request", "body")),
        ("OfferAnswered", ("usage", "status", "body")),
        ("InfoReceived", ("usage", "request")),
        ("UpdateAnswered", ("usage", "status")),
        ("InfoAnswered", ("usage", "status", "response")),
        ("MessageReceived", ("usage", "transaction", "request", "hop")),
        ("MessageAnswered", ("usage", "status")),
        ("ReferReceived", ("referred", "usage", "request", "hop", "refer_to", "referred_by")),
        ("ReferProgressed", ("referral", "status", "reason")),
        ("ReferEnded", ("referral", "outcome", "status", "why")),
        ("Ended", ("usage", "by", "status", "why", "cause", "message", "lost")),
        ("Finished", ("key", "outcome")),
    ],
)
def test_the_fields_of_an_event_keep_their_order(name: str, fields: tuple[str, ...]) -> None:
    assert getattr(outputs, name)._fields == fields
    assert name in outputs.__all__


def test_what_an_event_may_lack_is_empty() -> None:
    usage = object()

    assert outputs.Ended(usage, "system", 408, "why")[4:] == (None, None, False)  # type: ignore[arg-type]
    assert outputs.InviteReceived(usage, usage, usage).replaces is None  # type: ignore[arg-type]
    assert outputs.Progressed(usage, Response(180)).body == b""  # type: ignore[arg-type]
