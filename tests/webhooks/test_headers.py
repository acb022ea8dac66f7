from sipflow.webhooks.headers import basic_headers


def test_every_webhook_says_what_it_is_and_asks_for_a_plain_answer() -> None:
    assert basic_headers("sipflow/1", "post_call") == [
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "sipflow/1"),
        ("X-Sipflow-Event", "post_call"),
    ]
