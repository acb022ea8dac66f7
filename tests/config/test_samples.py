"""Every key of the configuration has an example, and the file with it is good."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipflow.config.load import parse
from sipflow.config.reference import Key, keys
from sipflow.config.samples import sample

SECRETS = ("provider.password", "client.passphrase")
FILES = ("edge.pem", "edge.key", "client.pem", "client.key", "authorities.pem", "api.pem", "api.key", *SECRETS)
TOGETHER = {  # key -> what must stand beside it
    "api.certificate": {"key": "api.key"},
    "api.key": {"certificate": "api.pem"},
    "sip.tls.certificate": {"key": "edge.key"},
    "sip.tls.key": {"certificate": "edge.pem"},
    "sip.tls.client_certificate": {"client_key": "client.key"},
    "sip.tls.client_key": {"client_certificate": "client.pem"},
    "sip.tls.verify_client": {"ca": "authorities.pem"},
    "sip.tls.key_passphrase": {"key": "edge.key", "certificate": "edge.pem"},
    "sip.tls.client_key_passphrase": {"client_key": "client.key", "client_certificate": "client.pem"},
}
NAMES = {"trunks": "pbx", "agents": "desk", "pools": "sales"}
SECRET = "many-characters-of-a-secret-that-nobody-guesses"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("samples")
    for name in FILES:
        (made / name).write_text(SECRET, encoding="utf-8")
    return made


def file_with(key: Key) -> str:
    """A small configuration that has what examples refer to, and the example of `key` in its place."""
    content: dict[str, Any] = {
        "agents": {"desk": {"handler": "echo"}},
        "trunks": {
            "pbx": {"sip_domain": "pbx.example.com", "username": "2001", "password": "a password"},
            "other": {"sip_domain": "other.example.com"},
        },
        "numbers": {"+12065550100": {"inbound_agent": "desk"}},
        "pools": {"sales": {"numbers": {"+12065550100": {}}}},
    }
    name = NAMES.get(key.path.partition(".")[0], "")
    *above, last = key.path.replace("<name>", name).replace("<number>", "+12065550100").split(".")
    place = content
    for part in above:
        place = place.setdefault(part, {})
    place |= {last: "HERE", **TOGETHER.get(key.path, {})}
    return yaml.safe_dump(content).replace("HERE", sample(key))


def test_the_file_with_the_example_of_any_key_is_good(folder: Path) -> None:
    values = [key for key in keys() if not key.is_mapping]
    for key in values:
        text = file_with(key)
        parse(text, file=key.path, folder=folder, environ=dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", text), SECRET))

    assert len(values) > 200
    assert [key.path for key in values if not sample(key)] == []


def test_an_example_of_true_or_false_is_not_the_default() -> None:
    found = {key.path: sample(key) for key in keys()}

    assert (found["sip.tls.verify"], found["api.console"], found["log.level"]) == ("false", "true", "error")
