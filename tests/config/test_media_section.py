import pytest

from sipflow.config.media_section import media_settings, read_ports
from sipflow.errors import ConfigError
from sipflow.media.settings import Settings
from tests.config.sections import section_of, told


def test_nothing_said_is_the_rooms_own_defaults() -> None:
    assert media_settings(section_of("{}")) == Settings()


def test_everything_said_is_in_the_settings() -> None:
    section = section_of("ports: 30000 - 30999\nbind: 127.0.0.1\nadvertise: 203.0.113.5\ndrain_s: 1.5\nptime_ms: 30\n")

    assert media_settings(section) == Settings(
        port_low=30000, port_high=30999, bind_host="127.0.0.1", advertise="203.0.113.5", drain_s=1.5, ptime_ms=30
    )
    assert told(section) == []


def test_an_ipv6_address_is_advertised_without_brackets() -> None:
    settings = media_settings(section_of("advertise: '[2001:db8::1]'"))

    assert settings is not None
    assert settings.advertise == "2001:db8::1"


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("ports: 10000", "ports", "must be a range of UDP ports such as 10000-20000"),
        ("ports: 1e4-2e4", "ports", "must be a range of UDP ports such as 10000-20000"),
        ("ports: '\u0661\u0662-\u0663\u0664'", "ports", "must be a range of UDP ports such as 10000-20000"),
        ("ports: 20000-10000", "ports", "20000-10000 is not a range of UDP ports"),
        ("ports: 1-99999", "ports", "1-99999 is not a range of UDP ports"),
        ("advertise: 203.0.113.5:5060", "advertise", "must be a host without a port"),
        ("advertise: '[::1]:5060'", "advertise", "must be a host without a port"),
        ("bind: localhost", "bind", "must be an IP address of this machine"),
        ("port: 10000-20000", "port", "unknown key; did you mean ports?"),
        ("port_low: 10000", "port_low", "unknown key"),
    ],
)
def test_what_cannot_work_is_told(text: str, key: str, why: str) -> None:
    section = section_of(f"media: {{{text}}}").child("media")
    assert section is not None

    media_settings(section)

    ((_, told_key, told_why),) = told(section)
    assert (told_key, why in told_why) == (f"media.{key}", True)


def test_a_range_is_two_numbers() -> None:
    assert read_ports("10-20") == (10, 20)
    with pytest.raises(ConfigError):
        read_ports("10-20-30")
