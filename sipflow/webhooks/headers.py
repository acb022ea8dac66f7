"""The headers of every webhook, beside the signature."""

EVENT_ID, ATTEMPT, CALL, NAME = "X-Sipflow-Event-Id", "X-Sipflow-Attempt", "X-Sipflow-Call", "X-Sipflow-Event"

Header = tuple[str, str]


def basic_headers(user_agent: str, event: str) -> list[Header]:
    """Give the header lines that every webhook has."""
    return [
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),  # a small answer may unpack into a huge one
        ("User-Agent", user_agent),
        (NAME, event),
    ]
