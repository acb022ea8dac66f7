"""Plain values become settings by their types, and back."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.plain import read, shown
from sipflow.trunks.settings import HealthSettings
from sipflow.trunks.trunk import Trunk

KINDS = get_type_hints(Trunk)


@pytest.mark.parametrize(
    ("key", "plain", "setting"),
    [
        ("transport", "tls", "tls"),
        ("ptime_ms", 30, 30),
        ("prack", False, False),
        ("realm", "pbx", "pbx"),
        ("realm", None, None),
        ("codecs", ["opus", "PCMU"], ("opus", "PCMU")),
        ("codecs", "PCMU", ("PCMU",)),
        ("accept_from", ["10.0.0.0/8", "::1"], Networks(["10.0.0.0/8", "::1"])),
        ("health", True, HealthSettings()),
        ("health", False, None),
        ("health", {"interval_s": 60}, HealthSettings(interval_s=60.0)),
        ("outbound", {"ring_s": 20.5, "withhold": True}, OutboundSettings(ring_s=20.5, withhold=True)),
    ],
)
def test_value_becomes_a_setting(key: str, plain: object, setting: object) -> None:
    assert read(key, plain, KINDS[key]) == setting


@pytest.mark.parametrize(
    ("key", "plain", "sentence"),
    [
        ("transport", 5, "transport: it must be a text"),
        ("ptime_ms", "20", "ptime_ms: it must be a whole number"),
        ("ptime_ms", True, "ptime_ms: it must be a whole number"),
        ("prack", 1, "prack: it must be true or false"),
        ("codecs", [1], "codecs: it must be a list of texts"),
        ("codecs", None, "codecs: it must be a list of texts"),
        ("accept_from", "10.0.0.1/8", "accept_from: not a network: '10.0.0.1/8' has bits set behind its mask"),
        ("health", 30, "health: it must have parts, as in {interval_s: ...}"),
        ("health", {"every": 1}, "health.every: is unknown; there are interval_s, misses"),
        ("health", {"interval_s": "1"}, "health.interval_s: it must be a number"),
        ("health", {"misses": 99}, "health.misses: 99 is not in 1..10"),
        ("outbound", True, "outbound: it must have parts, as in {caller_id: ...}"),
    ],
)
def test_wrong_value_is_named(key: str, plain: object, sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        read(key, plain, KINDS[key])

    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("setting", "plain"),
    [
        (Networks(), []),
        (Networks(["10.0.0.0/8", "192.0.2.1"]), ["10.0.0.0/8", "192.0.2.1/32"]),
        (HealthSettings(misses=3), {"misses": 3}),
        (OutboundSettings(failover=("b", "c")), {"failover": ["b", "c"]}),
        (("PCMU",), ["PCMU"]),
        ({"x": ("a",)}, {"x": ["a"]}),
        ("tls", "tls"),
        (None, None),
    ],
)
def test_setting_is_shown_as_plain_values(setting: Any, plain: object) -> None:
    assert shown(setting) == plain
    assert not isinstance(shown(setting), Mapping) or isinstance(shown(setting), dict)
