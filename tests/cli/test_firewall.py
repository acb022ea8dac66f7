"""`sipflow firewall`: what to let through."""

import json
from pathlib import Path

import pytest

from sipflow.cli.firewall import Rule, nft, rules_of, ufw
from sipflow.config.load import parse
from sipflow.sip.hop import Hop
from tests.cli.conftest import Sipflow

TEXT = """
sip: {listen: [udp:0.0.0.0:5060, "tcp:[2001:db8::5]:5061", tcp:127.0.0.1:5060]}
media: {ports: 10000-20000}
api: {listen: "0.0.0.0:8080", tokens: ["a token of the tests, long enough"]}
trunks:
  pbx: {sip_domain: pbx.example.com, username: a, password: secret-word, accept_from: [198.51.100.0/24]}
  local: {accept_from: [127.0.0.0/8]}
agents:
  bot: {handler: stream, dialect: twilio, url: "wss://bot.example.com/media", external_webhook_url: "https://crm.example.com/calls"}
"""
HOPS = {"pbx": (Hop("udp", "192.0.2.10", 5060), Hop("udp", "192.0.2.11", 5060), Hop("tls", "2001:db8::9", 5061))}
PBX = ("198.51.100.0/24", "192.0.2.10", "192.0.2.11", "2001:db8::9")


def rules() -> list[Rule]:
    return rules_of(parse(TEXT, environ={}), HOPS)


def test_rules_are_those_of_listeners_audio_api_trunks_names_and_http() -> None:
    assert rules() == [
        Rule("in", "udp", "5060", PBX, "SIP of all trunks"),
        Rule("in", "tcp", "5061", ("2001:db8::9",), "SIP of all trunks"),
        Rule("in", "udp", "10000-20000", (), "audio; providers send it from other addresses than SIP"),
        Rule("out", "udp", "", (), "audio, to whatever port the far end names"),
        Rule("in", "tcp", "8080", (), "the HTTP API; name the networks of its clients"),
        Rule("out", "udp", "5060", ("192.0.2.10", "192.0.2.11"), "SIP to trunk pbx"),
        Rule("out", "tcp", "5061", ("2001:db8::9",), "SIP to trunk pbx"),
        Rule("out", "udp", "53", (), "DNS"),
        Rule("out", "tcp", "53", (), "DNS"),
        Rule("out", "tcp", "443", ("bot.example.com", "crm.example.com"), "webhooks and agents"),
    ]


def test_password_and_token_are_in_no_rule() -> None:
    assert not {"secret-word", "a token of the tests"} & {word for rule in rules() for word in repr(rule).split("'")}


def test_nftables_gets_a_line_for_each_family_and_a_remark_for_each_name() -> None:
    assert nft(Rule("in", "udp", "5060", PBX, "SIP")) == [
        "add rule inet filter input ip saddr { 198.51.100.0/24, 192.0.2.10, 192.0.2.11 } udp dport 5060 accept "
        'comment "SIP"',
        'add rule inet filter input ip6 saddr { 2001:db8::9 } udp dport 5060 accept comment "SIP"',
    ]
    assert nft(Rule("out", "udp", "", (), "audio")) == [
        'add rule inet filter output meta l4proto udp accept comment "audio"'
    ]
    assert nft(Rule("out", "tcp", "443", ("crm.example.com",), "webhooks")) == [
        '# crm.example.com: a name; add rule inet filter output tcp dport 443 accept comment "webhooks"'
    ]


def test_ufw_gets_a_line_for_each_peer() -> None:
    assert ufw(Rule("in", "udp", "10000-20000", (), "audio")) == [
        "ufw allow proto udp to any port 10000:20000 comment audio"
    ]
    assert ufw(Rule("in", "tcp", "5061", ("192.0.2.10",), "SIP of pbx")) == [
        "ufw allow proto tcp from 192.0.2.10 to any port 5061 comment 'SIP of pbx'"
    ]
    assert ufw(Rule("out", "udp", "5060", ("192.0.2.10", "pbx.example.com"), "SIP")) == [
        "ufw allow out proto udp to 192.0.2.10 port 5060 comment SIP",
        "# pbx.example.com: a name; ufw allow out proto udp to any port 5060 comment SIP",
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sipflow.yaml"
    path.write_text(
        "sip: {listen: [udp:0.0.0.0:5060]}\nmedia: {bind: 127.0.0.1}\nagents: {echo: {handler: echo}}\n"
        "trunks: {pbx: {sip_domain: 192.0.2.10}, gone: {sip_domain: gone.invalid}}\n",
        encoding="utf-8",
    )
    return path


def test_trunks_are_resolved_and_those_that_cannot_be_are_said(file: Path, sipflow: Sipflow) -> None:
    result = sipflow("firewall", str(file))

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "in  udp  port 5060          from 192.0.2.10: SIP of all trunks",
        "out udp  port 5060          to 192.0.2.10: SIP to trunk pbx",
        "out udp  port 53            to everybody: DNS",
        "out tcp  port 53            to everybody: DNS",
    ]
    assert result.stderr.startswith("sipflow: trunk gone: no address for gone.invalid")


@pytest.mark.parametrize("form", ["nft", "ufw"])
def test_lines_for_a_firewall_are_nothing_else(file: Path, sipflow: Sipflow, form: str) -> None:
    lines = sipflow("firewall", str(file), "--format", form).stdout.splitlines()

    assert {line.split()[0] for line in lines} == {"add" if form == "nft" else "ufw"}


def test_json_has_the_rules_and_what_is_missing(file: Path, sipflow: Sipflow) -> None:
    found = json.loads(sipflow("firewall", str(file), "--json").stdout)

    assert (len(found["rules"]), len(found["problems"])) == (4, 1)


def test_format_that_is_none_is_2(file: Path, sipflow: Sipflow) -> None:
    result = sipflow("firewall", str(file), "--format", "pf")

    assert (result.exit_code, result.stderr) == (2, "sipflow: --format 'pf' is none of text, json, nft, ufw\n")
