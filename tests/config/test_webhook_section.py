from dataclasses import asdict, fields

from sipflow.config.webhook_section import WebhookModel, WebhookSettings, webhook_settings
from sipflow.webhooks.settings import Settings
from tests.config.sections import section_of, told


def test_nothing_said_is_the_rooms_own_defaults() -> None:
    settings = webhook_settings(section_of("{}"))

    assert settings is not None
    assert Settings(**asdict(settings)) == Settings()
    assert [each.name for each in fields(WebhookSettings)] == [each.name for each in fields(Settings)]
    assert list(WebhookModel.model_fields) == [each.name for each in fields(Settings)]


def test_every_setting_can_be_said() -> None:
    text = """
secret: ["${NEW}", "${OLD}"]
allow_networks: 10.0.0.0/8
allow_http: true
timeout_s: 5
inbound_timeout_s: 3
inbound_retries: 1
default_agent: desk
events_url: https://crm.example.com/events
events: [answered, ended]
retry_first_s: 1
retry_most_s: 60
give_up_s: 3600
concurrency: 8
per_endpoint: 2
keep_logs_days:
"""
    environ = {"NEW": "a secret of many characters", "OLD": "the secret of last year"}
    settings = webhook_settings(section_of(text, environ=environ))

    assert settings == WebhookSettings(
        secret=("a secret of many characters", "the secret of last year"),
        allow_networks=("10.0.0.0/8",),
        allow_http=True,
        timeout_s=5,
        inbound_timeout_s=3,
        inbound_retries=1,
        default_agent="desk",
        events_url="https://crm.example.com/events",
        events=("answered", "ended"),
        retry_first_s=1,
        retry_most_s=60,
        give_up_s=3600,
        concurrency=8,
        per_endpoint=2,
        keep_logs_days=None,
    )
    assert Settings(**asdict(settings)).secret == settings.secret
    assert "a secret" not in repr(settings)


def test_what_cannot_work_is_told_with_its_line() -> None:
    section = section_of(
        "secret: [a secret of many characters, short]\n"
        "allow_networks: [10.0.0.0/8, intranet]\n"
        "events_url: crm.example.com\n"
        "timeout_s: 0\n"
        "retry_first_s: 60\n"
        "retry_most_s: 5\n"
        "ca_file: no-such-file.pem\n"
        "default_agnt: desk\n"
    )

    assert webhook_settings(section) is None
    assert sorted(told(section)) == [
        (1, "secret.1", "must have at least 16 characters; make one with: openssl rand -hex 32"),
        (
            2,
            "allow_networks.1",
            "not a network: 'intranet' (write an address or a network, as in 192.0.2.1 or 10.0.0.0/8; a host name can "
            "change its address and cannot be trusted here)",
        ),
        (
            3,
            "events_url",
            "must be a URL that begins with https:// (or http://, where webhooks.allow_http says so)",
        ),
        (4, "timeout_s", "must be greater than or equal to 0.1, not '0'"),
        (6, "retry_most_s", "must not be less than retry_first_s"),
        (7, "ca_file", "this file cannot be read: No such file or directory"),
        (8, "default_agnt", "unknown key; did you mean default_agent?"),
    ]
