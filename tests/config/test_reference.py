"""The reference has every key of the schema, with its type, its default and a meaning."""

from collections import Counter
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from sipflow.config.configuration import Configuration
from sipflow.config.load import SECTIONS
from sipflow.config.reference import FILE, Key, as_yaml, json_schema, keys
from sipflow.config.sentences import keys_at
from sipflow.config.trunk_section import TRUNK_KEYS

FOUND = {key.path: key for key in keys()}
SCHEMA = json_schema()
DEFAULT = Path(__file__).resolve().parents[2] / "config" / "sipflow.yaml"


def row(path: str) -> tuple[str, str]:
    return FOUND[path].kind, FOUND[path].default


def is_good(text: str) -> bool:
    return jsonschema_rs.is_valid(SCHEMA, yaml.safe_load(text))


def test_every_key_has_a_meaning() -> None:
    assert [path for path, key in FOUND.items() if len(key.meaning) < 8 or not key.meaning.endswith(".")] == []


def test_every_section_is_there_and_every_key_once() -> None:
    assert {section.partition(".")[0] for section in FILE} - {""} == SECTIONS
    assert [path for path, count in Counter(key.path for key in keys()).items() if count > 1] == []


@pytest.mark.parametrize("section", FILE)
def test_every_key_of_a_section_is_there(section: str) -> None:
    beginning = f"{section}." if section else ""
    elsewhere = TRUNK_KEYS if section.startswith("numbers") else frozenset()
    valid = {key for model in FILE[section] for key in keys_at(model)} - elsewhere

    assert {path.removeprefix(beginning) for path in FOUND if path.startswith(beginning)} >= valid
    assert valid


def test_types_and_defaults_are_told_as_an_operator_writes_them() -> None:
    assert row("sip.tls.minimum_version") == ("1.2 or 1.3", "1.2")
    assert row("sip.listen") == ("list of text, or one", "[udp:127.0.0.1:5060, tcp:127.0.0.1:5060]")
    assert row("sip.keepalive_s") == ("number", "25")
    assert row("api.tokens") == ("list of text, or one; a secret", "")
    assert row("trunks.<name>.password") == ("text; a secret: `file:PATH` or `${NAME}`", "")
    assert row("trunks.<name>.register") == ("mapping; one value alone is `enabled`", "")
    assert row("trunks.<name>.register.expires") == ("whole number", "300")
    assert row("trunks.<name>.headers.set") == ("mapping of text", "")
    assert row("pools.<name>.numbers.<number>.weight") == ("number, more than 0, up to 1000000", "1")
    assert row("limits.max_calls") == ("whole number, 1 to 100000", "")
    assert row("agents.<name>.handler") == ("text", "must be there")
    assert row("drain_s") == ("number, 0 to 86400", "30")


def test_the_defaults_of_the_sockets_are_those_that_are_used() -> None:
    used = Configuration().sip

    assert FOUND["sip.listen"].default_value == tuple(map(str, used.listen))
    assert (FOUND["sip.keepalive_s"].default_value, FOUND["sip.dscp"].default_value) == (used.keepalive_s, used.dscp)
    assert FOUND["sip.udp_buffer_bytes"].default_value == used.udp_buffer_bytes
    assert all(FOUND[f"sip.tls.{name}"].default_value == getattr(used.tls, name) for name in ("verify", "ca"))


def test_values_are_written_as_yaml() -> None:
    values = (None, (), "", True, 1.0, 0.25, 300, ("a", "b"), {"X": "1"})

    assert [as_yaml(value) for value in values] == ["", "", "", "true", "1", "0.25", "300", "[a, b]", "{X: 1}"]


def test_a_key_that_nobody_has_written_about_has_no_meaning() -> None:
    assert Key("sip.new", "text", "", "").meaning == ""


def test_the_json_schema_takes_what_the_reader_takes() -> None:
    jsonschema_rs.meta.validate(SCHEMA)

    assert is_good(DEFAULT.read_text(encoding="utf-8"))
    assert is_good("trunks: {a: {username: 2001, register: true, ptime_ms: '${PTIME}', accept_from: 10.0.0.0/8}, b: }")
    assert is_good("sip: {tls: edge.pem, advertise: {udp: 203.0.113.5}, tls: {minimum_version: 1.3}}")
    assert is_good("pools: {sales: {numbers: ['+12065550100'], rest: false}}")
    assert is_good("agents: {desk: {handler: 'mine:desk', greeting: {of: any kind}, is_recording: yes}}")


def test_the_json_schema_refuses_what_the_reader_refuses() -> None:
    assert not is_good("trunk: {}")
    assert not is_good("trunks: {a: {user_name: x}}")
    assert not is_good("trunks: {a: {srtp: maybe}}")
    assert not is_good("limits: {max_calls: 0}")
    assert not is_good("agents: {desk: {greeting: no handler}}")


def test_the_json_schema_says_what_keys_mean() -> None:
    below = SCHEMA["$defs"]["TrunkModel"]["properties"]

    assert below["register"]["description"] == FOUND["trunks.<name>.register"].meaning
    assert SCHEMA["properties"]["drain_s"]["description"] == FOUND["drain_s"].meaning
