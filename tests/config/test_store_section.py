from pathlib import Path

import pytest

from sipflow.config.configuration import Configuration
from sipflow.config.load import load_store, parse
from sipflow.config.store_section import store_settings
from sipflow.errors import ConfigError
from sipflow.store.settings import Settings
from tests.config.sections import section_of, told

WRONG_URL = "must be the URL of a database: sqlite:///FILE or postgresql://user:password@host/name"
NO_AGE = "must be more than 0 days; leave it out to keep everything"
SHORT = "must have at least 32 random characters; make one with: openssl rand -base64 32"
KEY, OLD = "a key of more than 32 characters, new", "a key of more than 32 characters, old"


def test_nothing_said_is_a_file_beside_the_configuration_for_ever() -> None:
    assert store_settings(section_of("{}"), environ={}) == Settings()


def test_everything_that_can_be_said() -> None:
    text = f"""
        url: postgresql://sipflow:secret@db/sipflow
        journal: /var/lib/sipflow/calls
        encryption_key: ["{KEY}", "{OLD}"]
        keep_records_days: 90
        keep_recordings_days: 0.5
    """

    assert store_settings(section_of(text), environ={}) == Settings(
        url="postgresql://sipflow:secret@db/sipflow",
        journal="/var/lib/sipflow/calls",
        encryption_keys=(KEY, OLD),
        keep_records_days=90.0,
        keep_recordings_days=0.5,
    )


def test_the_store_can_be_left_out() -> None:
    assert store_settings(section_of("enabled: false"), environ={}) == Settings(enabled=False)


def test_keys_come_from_the_environment_where_the_file_has_none() -> None:
    one, two = "n" * 40, "o" * 40
    environ = {"SIPFLOW_STORE_KEY": f" {one}, {two}\n"}

    assert store_settings(section_of("{}"), environ=environ) == Settings(encryption_keys=(one, two))
    assert store_settings(section_of(f'encryption_key: "{KEY}"'), environ=environ) == Settings(encryption_keys=(KEY,))


def test_a_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")

    section = section_of("encryption_key: file:key", folder=tmp_path)

    assert store_settings(section, environ={}) == Settings(encryption_keys=(KEY,))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("url: mysql://db/x", (1, "url", WRONG_URL)),
        ("a: 1\nkeep_records_days: 0", (2, "keep_records_days", NO_AGE)),
        ("keep_records_days: month", (1, "keep_records_days", "must be a number, not 'month'")),
        ("encryption_key: short-one", (1, "encryption_key", SHORT)),
        ("keep_record_days: 1", (1, "keep_record_days", "unknown key; did you mean keep_records_days?")),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_at_its_line(text: str, problem: tuple[int, str, str]) -> None:
    section = section_of(text)

    store_settings(section, environ={})

    assert problem in told(section)
    assert "short-one" not in str(told(section))


def test_the_section_is_part_of_a_configuration() -> None:
    text = "store: {url: 'sqlite:///calls.db'}\nagents: {echo: {handler: echo}}\n"

    read = parse(text, environ={"SIPFLOW_STORE_KEY": "k" * 40})

    assert isinstance(read, Configuration)
    assert read.store == Settings(url="sqlite:///calls.db", encryption_keys=("k" * 40,))
    with pytest.raises(ConfigError, match=r"store\.url: must be the URL of a database"):
        parse(text.replace("sqlite:", "file:"), environ={})


def test_where_the_store_is_can_be_read_without_what_only_the_daemon_knows(tmp_path: Path) -> None:
    file = tmp_path / "sipflow.yaml"
    file.write_text(
        "trunks: {pbx: {sip_domain: pbx, password: '${PASSWORD}'}}\n"
        "store: {url: 'postgresql://${USER}@db/x', encryption_key: '${KEY}', journal: j}\n"
    )

    assert load_store(file, environ={"USER": "me"}) == Settings(url="postgresql://me@db/x", journal="j")
    with pytest.raises(ConfigError, match=r":2: store\.url: the environment variable USER is not set"):
        load_store(file, environ={})
    file.write_text("agents: {echo: {handler: echo}}\n")
    assert load_store(file, environ={}) == Settings()
