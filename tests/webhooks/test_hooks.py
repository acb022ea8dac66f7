from sipflow.webhooks.hooks import Hooks


def test_the_urls_of_an_agent_are_read_from_its_fields() -> None:
    said = {
        "external_webhook_url": "https://crm.example.com/calls",
        "inbound_call_webhook_url": "https://crm.example.com/inbound",
        "is_recording": True,
    }

    assert Hooks.of(said) == Hooks("https://crm.example.com/calls", "https://crm.example.com/inbound", "")


def test_what_is_no_text_is_no_url() -> None:
    assert Hooks.of({"external_webhook_url": None, "events_webhook_url": 7}) == Hooks()
