from dataclasses import fields
from pathlib import Path

import pytest

from sipflow.api.settings import Settings
from sipflow.config.api_section import ApiSettings
from sipflow.config.changes import changes
from sipflow.config.load import parse
from sipflow.errors import ConfigError

TOKEN = "0123456789abcdef0123456789abcdef"
WEAK = "must have at least 16 characters, plain ones; make one with: openssl rand -hex 32"


def api(text: str, **environ: str) -> ApiSettings | None:
    return parse(text, environ=environ).api


def refusal(text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse(text, environ=environ)
    return str(error.value)


def test_without_the_section_there_is_no_api() -> None:
    assert api("agents: {echo: {handler: echo}}") is None


def test_an_empty_section_listens_on_this_machine_alone() -> None:
    assert api("api:") == api("api: {}") == ApiSettings(host="127.0.0.1", port=8080)


def test_the_section_of_the_issue_is_read() -> None:
    text = "api: {listen: 127.0.0.1:8080, tokens: ['${SIPFLOW_TOKEN}']}"

    assert api(text, SIPFLOW_TOKEN=TOKEN) == ApiSettings(tokens=(TOKEN,))
    assert TOKEN not in repr(api(text, SIPFLOW_TOKEN=TOKEN))


def test_the_console_is_there_where_it_is_asked_for() -> None:
    assert api("api: {console: true}") == ApiSettings(console=True)


def test_proxies_that_are_believed_are_networks_and_not_everybody() -> None:
    read = api("api: {trusted_proxies: [10.0.0.0/28, '::1'], proxy_header: forwarded}")

    assert read == ApiSettings(trusted_proxies=("10.0.0.0/28", "::1"), proxy_header="forwarded")
    assert "api.trusted_proxies.0: not a network: 'proxy.example.com'" in refusal(
        "api: {trusted_proxies: proxy.example.com}"
    )
    assert "api.trusted_proxies.1: trusts everybody" in refusal("api: {trusted_proxies: [10.0.0.1, 0.0.0.0/0]}")
    assert "proxy_header" in refusal("api: {proxy_header: x-real-ip}")


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8080", ("::1", 8080)),
        ("localhost:9000", ("127.0.0.1", 9000)),
        ("127.0.0.2", ("127.0.0.2", 8080)),
    ],
)
def test_an_address_may_be_written_in_several_ways(listen: str, address: tuple[str, int]) -> None:
    read = api(f"api: {{listen: '{listen}'}}")

    assert read is not None
    assert (read.host, read.port) == address


@pytest.mark.parametrize("listen", ["example.com:80", "127.0.0.1:0", "127.0.0.1:99999", ":8080", "8080"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    assert refusal(f"api: {{listen: '{listen}'}}").endswith(
        "api.listen: must be address:port, as in 127.0.0.1:8080 or [::1]:8080; 0.0.0.0 is every address"
    )


@pytest.mark.parametrize("token", ["short", "tab\tin the middle of it", "ünïcödé is not plain enough"])
def test_a_weak_token_is_refused_and_not_shown(token: str) -> None:
    said = refusal("api:\n  tokens: ['${T}']", T=token)

    assert said.endswith(f"api.tokens.0: {WEAK}")
    assert token not in said


def test_a_token_that_is_not_set_is_told() -> None:
    assert "the environment variable SIPFLOW_TOKEN is not set" in refusal("api: {tokens: ['${SIPFLOW_TOKEN}']}")


def test_certificate_and_key_go_together_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "api.pem"
    file.write_text("any")
    both = api(f"api: {{certificate: {file}, key: {file}}}")

    assert both is not None
    assert (both.certificate, both.key) == (str(file), str(file))
    assert "certificate and key go together: set both or none" in refusal(f"api: {{certificate: {file}}}")
    assert "this file cannot be read" in refusal(f"api: {{certificate: missing.pem, key: {file}}}")


def test_the_default_agent_must_be_one() -> None:
    text = "agents: {echo: {handler: echo}}\napi: {default_agent: %s}"
    read = api(text % "echo")

    assert read is not None
    assert read.default_agent == "echo"
    assert "there is no agent 'eco'; did you mean echo?" in refusal(text % "eco")


def test_an_unknown_key_is_told_with_the_nearest_one() -> None:
    assert "unknown key; did you mean listen?" in refusal("api: {listn: 127.0.0.1:8080}")


def test_a_change_needs_a_restart() -> None:
    none, here, there = (parse(text) for text in ("{}", "api: {}", "api: {listen: 127.0.0.1:9000}"))

    assert changes(none, here).needs_restart == ("api",)
    assert changes(here, there).needs_restart == ("api.listen",)
    assert not changes(here, here)


def test_the_api_takes_every_setting() -> None:
    assert {each.name for each in fields(ApiSettings)} == {each.name for each in fields(Settings)}
    assert [getattr(ApiSettings(), each.name) for each in fields(Settings)] == [
        getattr(Settings(), each.name) for each in fields(Settings)
    ]
