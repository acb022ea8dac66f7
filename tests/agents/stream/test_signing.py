import hashlib
import hmac

from sipflow.agents.stream.signing import TOLERANCE_S, signature, signed_headers

SECRET, URL = "a secret of many characters", "wss://bot.example.com/ws?tenant=7"


def test_the_handshake_carries_time_call_and_signature() -> None:
    expected = hmac.new(SECRET.encode(), f"1767225600.call-1.{URL}".encode(), hashlib.sha256).hexdigest()

    assert signed_headers(SECRET, url=URL, call_id="call-1", at=1767225600.7) == [
        ("X-Sipflow-Timestamp", "1767225600"),
        ("X-Sipflow-Call", "call-1"),
        ("X-Sipflow-Signature", f"v1={expected}"),
    ]


def test_another_time_call_url_or_secret_gives_another_signature() -> None:
    found = {
        signature(secret, timestamp=timestamp, call_id=call, url=url)
        for secret, timestamp, call, url in [
            (SECRET, "1", "a", URL),
            (SECRET, "2", "a", URL),
            (SECRET, "1", "b", URL),
            (SECRET, "1", "a", URL + "8"),
            (SECRET + "!", "1", "a", URL),
        ]
    }

    assert len(found) == 5
    assert TOLERANCE_S == 300
