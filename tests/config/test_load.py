import re
import time
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.agents.handlers import BUILT_IN
from sipflow.agents.spec import AgentSpec
from sipflow.audio.wav import wav_header
from sipflow.calls.limits import Limit, LimitSettings
from sipflow.config.configuration import Configuration
from sipflow.config.load import load, parse
from sipflow.errors import ConfigError
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.acl import Networks
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as SipSettings
from sipflow.numbers.inventory import Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.use import Caps
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.settings import RegisterSettings
from sipflow.trunks.trunk import Trunk

NAMES = ", ".join(sorted(BUILT_IN))
DEFAULT = Path(__file__).resolve().parents[2] / "config" / "sipflow.yaml"

EXAMPLE = """
sip:
  listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:5060]     # tls:ADDR:PORT with tls: {certificate, key, ca}
media:
  ports: 10000-20000
trunks:
  pbx:
    sip_domain: pbx.example.com
    outbound_proxy: sip:127.0.0.1:5080;transport=tcp
    username: "2001"
    auth_username: "2001-auth"
    password: ${PBX_PASSWORD}
    register: {expires: 300}
    accept_from: [127.0.0.0/8]
numbers:
  "+12065550100": {friendly_name: Echo, trunk: pbx, inbound_agent: echo}
agents:
  echo: {handler: echo}
"""


def refusal(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, file="a.yaml", environ={})
    return str(caught.value).splitlines()


def whole(configuration: Configuration) -> tuple[object, ...]:
    return (
        configuration.sip,
        configuration.media,
        dict(configuration.trunks),
        list(configuration.numbers),
        dict(configuration.agents),
    )


def test_the_form_of_a_trunk_becomes_trunk_number_and_agent() -> None:
    configuration = parse(EXAMPLE, file="a.yaml", environ={"PBX_PASSWORD": "geheim"})

    assert whole(configuration) == (
        SipSettings(listen=(ListenAddress("udp", "127.0.0.1", 5060), ListenAddress("tcp", "127.0.0.1", 5060))),
        MediaSettings(),
        {
            "pbx": Trunk(
                "pbx",
                sip_domain="pbx.example.com",
                outbound_proxy="sip:127.0.0.1:5080;transport=tcp",
                username="2001",
                auth_username="2001-auth",
                password="geheim",
                register=RegisterSettings(expires=300),
                accept_from=Networks(["127.0.0.0/8"]),
            )
        },
        [Number("+12065550100", "Echo", "pbx", "echo")],
        {"echo": AgentSpec("echo", "echo")},
    )
    assert configuration.file == "a.yaml"


def test_a_number_may_declare_its_trunk_in_place_and_a_trunk_its_number() -> None:
    configuration = parse(
        "trunks:\n"
        "  pbx: {sip_domain: pbx.example.com, phone_number: +12065550101}\n"
        "  desk: {sip_domain: pbx.example.com, phone_number: 200}\n"
        "numbers:\n"
        "  +12065550101: {inbound_agent: echo}\n"
        "  +1 206 555 0102: {sip_domain: sip.example.net, username: a, password: b, register: no}\n"
        "agents: {echo: {handler: echo}}\n",
        environ={},
    )

    assert dict(configuration.trunks) == {
        "pbx": Trunk("pbx", phone_number="+12065550101", sip_domain="pbx.example.com"),
        "desk": Trunk("desk", sip_domain="pbx.example.com"),
        "+12065550102": Trunk(
            "+12065550102", phone_number="+12065550102", sip_domain="sip.example.net", username="a", password="b"
        ),
    }
    assert list(configuration.numbers) == [
        Number("200", trunk="desk"),
        Number("+12065550101", trunk="pbx", inbound_agent="echo"),
        Number("+12065550102", trunk="+12065550102"),
    ]


def test_the_region_of_a_trunk_tells_what_a_national_number_should_have_been() -> None:
    assert refusal("trunks: {us: {accept_from: 10.0.0.1, region: us}}\nnumbers:\n  (206) 555-0100: {trunk: us}\n") == [
        "a.yaml:3: numbers.(206) 555-0100: is not E.164; write it with + and country code: '+12065550100'"
    ]


def test_every_problem_is_told_at_once_with_file_line_and_key() -> None:
    assert refusal(
        "sip:\n"
        "  listen: [udp:127.0.0.1:5060, sctp:127.0.0.1]\n"
        "  unknown_source: rejct\n"
        "media: {prots: 1-2}\n"
        "trunk: {}\n"
        "drain_s: soon\n"
        "log: [debug]\n"
        "trunks:\n"
        "  pbx:\n"
        "    sip_domain: pbx.example.com\n"
        "    outbund_proxy: 10.0.0.1\n"
        "    username: a\n"
        "    password: ${PBX_PASSWORD}\n"
        "    register: {expires: 5}\n"
        "numbers:\n"
        "  +12065550100: {trunk: pbxx, inbound_agent: eco}\n"
        "  12065550101: {trunk: pbx}\n"
        "agents:\n"
        "  echo: {handler: ecko}\n"
        "  other: {}\n"
    ) == [
        "a.yaml:2: sip.listen.1: not a listen address: 'sctp:127.0.0.1' (write transport:address:port, as in "
        "udp:0.0.0.0:5060 or tls:[::]:5061)",
        "a.yaml:3: sip.unknown_source: must be reject or silent, not 'rejct'; did you mean reject?",
        "a.yaml:4: media.prots: unknown key; did you mean ports?",
        "a.yaml:5: trunk: unknown key; did you mean trunks?",
        "a.yaml:6: drain_s: must be a number, not 'soon'",
        "a.yaml:7: log: must be a mapping: lines of key: value",
        "a.yaml:11: trunks.pbx.outbund_proxy: unknown key; did you mean outbound_proxy?",
        "a.yaml:13: trunks.pbx.password: the environment variable PBX_PASSWORD is not set",
        "a.yaml:14: trunks.pbx.register.expires: 5 is not in 10..86400 seconds",
        "a.yaml:16: numbers.+12065550100.inbound_agent: there is no agent 'eco'; did you mean echo?",
        "a.yaml:16: numbers.+12065550100.trunk: there is no trunk 'pbxx'; did you mean pbx?",
        "a.yaml:17: numbers.12065550101: is not E.164; write it with + and country code: '+12065550101'",
        f"a.yaml:19: agents.echo.handler: must be {NAMES} or module:function; did you mean echo?",
        "a.yaml:20: agents.other.handler: is missing",
    ]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("'+12065550100'", "numbers.+12065550100: this key is already on line 2; one of the two must go"),
        ("+1 206 555 0100", "numbers.+1 206 555 0100: +12065550100 is already on line 2, written +12065550100; a "
         "number has one inbound agent, and here are two: a (line 2) and b (line 3); one of the two must go"),
    ],
)  # fmt: skip
def test_two_inbound_agents_on_one_number_are_refused_with_both_lines(second: str, why: str) -> None:
    assert refusal(
        f"numbers:\n  +12065550100: {{inbound_agent: a}}\n  {second}: {{inbound_agent: b}}\n"
        "agents: {a: {handler: echo}, b: {handler: echo}}\n"
    ) == [f"a.yaml:3: {why}"]


def test_an_api_without_a_store_is_refused_and_not_left_closed() -> None:
    assert refusal("api: {}\nstore: {enabled: false}\nagents: {echo: {handler: echo}}\n") == [
        "a.yaml:2: store.enabled: false leaves nothing that `api:` could show: take one of the two out"
    ]


def test_an_own_trunk_cannot_take_the_name_of_another() -> None:
    assert refusal("trunks:\n  '200': {accept_from: 10.0.0.1}\nnumbers:\n  200: {sip_domain: a.example}\n") == [
        "a.yaml:4: numbers.200: declares a trunk of its own, and there is a trunk of this name already"
    ]


def test_empty_sections_are_no_sections() -> None:
    assert whole(parse("sip:\nmedia:\ntrunks:\nnumbers:\nagents:\nlog:\ncalls:\n", environ={})) == whole(
        Configuration()
    )


def test_one_number_for_all_that_yaml_would_read_otherwise() -> None:
    configuration = parse(
        "trunks: {pbx: {sip_domain: a.example, username: 0123, password: 010, phone_number: +12065550100, region: no}}",
        environ={},
    )

    trunk = configuration.trunks["pbx"]
    assert (trunk.username, trunk.password, trunk.phone_number, trunk.region) == ("0123", "010", "+12065550100", "NO")


def test_a_section_that_is_indented_into_another_is_told_as_that_alone() -> None:
    trunk = "trunks:\n  agents: {sip_domain: pbx.example.com}\n"  # a trunk may have such a name

    assert refusal(
        f"{trunk}numbers:\n  '+12065550100': {{trunk: agents, inbound_agent: a}}\n  agents:\n    a: {{handler: echo}}\n"
    ) == ["a.yaml:5: numbers.agents: is a section of its own: begin its line without spaces"]


def test_templates_can_be_shared_by_trunks() -> None:
    configuration = parse(
        "trunks:\n"
        "  a: &provider {sip_domain: sip.example.net, transport: tls, username: a, password: x}\n"
        "  b: {<<: *provider, username: b}\n",
        environ={},
    )

    assert [(trunk.name, trunk.username, trunk.transport) for trunk in configuration.trunks.values()] == [
        ("a", "a", "tls"),
        ("b", "b", "tls"),
    ]


SECRET = "hunter2-geheim"
EVERYWHERE = f"""
sip: {{user_agent: "{{0}}", advertise: "{{0}} x", tls: {{certificate: "{{0}}", password: {SECRET}}}}}
media: {{ports: "{{0}}", bind: "{{0}}"}}
trunks:
  pbx: {{sip_domain: "{{0}} x", outbound_proxy: "{{0}}@b", username: "{{0}}", password: "{SECRET}", register: "{{0}}"}}
  list: {{password: [{SECRET}], sip_domain: a.example}}
  map: {{password: {{{SECRET}: 1}}, sip_domain: a.example}}
  alone: {{password: {SECRET}, sip_domain: a.example}}
  inbound: {{accept_from: ["{{0}}"], authenticate_inbound: {{password: {SECRET}, usrname: a}}}}
  wrong: {{sip_domain: a.example, pasword: {SECRET}, realm: "{{0}}\\n", ptime_ms: "{{0}}", codecs: "{{0}}"}}
numbers:
  +12065550100: {{trunk: "{{0}}", inbound_agent: "{{0}}", outbound_agents: ["{{0}}"]}}
agents:
  a: {{handler: "{{0}}", token: {SECRET}}}
  b: {{handler: echo, token: {SECRET}}}
  c: {{handler: announce, file: a.wav, repeat: "{{0}}", api_key: {SECRET}}}
log: {{level: "{{0}}"}}
drain_s: "{{0}}"
"""


def test_no_secret_is_in_any_error_whatever_is_wrong() -> None:
    text = EVERYWHERE.replace("{0}", "${SECRET}")

    with pytest.raises(ConfigError) as caught:
        parse(text, file="a.yaml", environ={"SECRET": SECRET})

    error = caught.value
    assert len(str(error).splitlines()) > 20
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(error.args)
    assert SECRET not in shown.lower()


def test_no_secret_is_in_the_repr_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(SECRET + "\n")
    configuration = parse(
        "trunks:\n"
        "  a: {sip_domain: a.example, username: a, password: '${SECRET}', authenticate_inbound: yes}\n"
        "  b: {sip_domain: a.example, username: a, password: file:pw, authenticate_inbound: {password: file:pw}}\n"
        f"  c: {{sip_domain: a.example, username: a, password: {SECRET}}}\n"
        f"agents: {{a: {{handler: 'a:b', token: file:pw, keys: {{api_key: {SECRET}}}}}}}\n",
        folder=tmp_path,
        environ={"SECRET": SECRET},
    )

    assert [trunk.password for trunk in configuration.trunks.values()] == [SECRET] * 3
    assert configuration.agents["a"].options == {"token": SECRET, "keys": {"api_key": SECRET}}
    assert SECRET not in repr(configuration)
    assert SECRET not in "".join(map(repr, (*configuration.trunks.values(), *configuration.agents.values())))


def test_variables_come_from_this_process_when_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPFLOW_TEST_DOMAIN", "a.example")

    assert parse("trunks: {a: {sip_domain: '${SIPFLOW_TEST_DOMAIN}'}}").trunks["a"].sip_domain == "a.example"


def test_a_file_that_is_missing_is_named_as_the_operator_named_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load("nowhere/sipflow.yaml")

    assert str(caught.value) == "nowhere/sipflow.yaml: cannot be read: No such file or directory"


def test_the_default_configuration_is_an_echo_on_this_machine() -> None:
    configuration = load(DEFAULT, environ={})

    assert whole(configuration) == (
        SipSettings(),
        MediaSettings(bind_host="127.0.0.1"),
        {"local": Trunk("local", accept_from=Networks(["127.0.0.0/8", "::1"]), region="US")},
        [Number("+12065550100", "Echo", "local", "echo")],
        {"echo": AgentSpec("echo", "echo")},
    )


def test_every_key_that_the_default_configuration_shows_in_a_comment_can_be_used(tmp_path: Path) -> None:
    files = "edge.pem edge.key authorities.pem client.pem client.key api.pem api.key welcome.wav"
    for name in files.split():
        (tmp_path / name).write_bytes(wav_header(0) if name.endswith(".wav") else b"")
    shown = re.compile(r"^( *)# (( *)(?:[a-z_]+|\"\+[0-9]+\"): .*|( *)[a-z]+:)$", re.MULTILINE)
    text = shown.sub(r"\1\2", DEFAULT.read_text(encoding="utf-8"))

    environ = {"PBX_PASSWORD": "x", "ALICE_PASSWORD": "y", "KEY_PASSPHRASE": "z"}
    environ |= {"SIPFLOW_TOKEN": 4 * "0123456789abcdef"}
    environ |= {"WEBHOOK_SECRET": "0123456789abcdef", "SIPFLOW_STORE_KEY": 4 * "0123456789abcdef"}
    configuration = parse(text, folder=tmp_path, environ=environ)

    assert sorted(configuration.trunks) == ["+12065550102", "local", "pbx"]
    assert sorted(configuration.agents) == ["desk", "echo", "told", "welcome"]
    assert configuration.webhooks.secret == ("0123456789abcdef",)
    assert configuration.sip.tls.certificate == str(tmp_path / "edge.pem")
    assert configuration.api is not None
    assert configuration.api.certificate == str(tmp_path / "api.pem")
    assert configuration.trunks["pbx"].inbound_auth is not None


def test_a_thousand_trunks_are_read_in_well_under_the_second_that_a_start_may_take() -> None:
    text = "trunks:\n" + "".join(
        f"  t{n}: {{sip_domain: p{n}.example.com, username: u{n}, password: x, phone_number: +1206{2000000 + n}}}\n"
        for n in range(1000)
    )
    started = time.process_time()

    assert len(parse(text, environ={}).trunks) == 1000
    assert time.process_time() - started < 2.0  # some 0.2 s; the rest is for slow machines


WORDS = st.sampled_from(
    ["sip", "trunks", "numbers", "agents", "pbx", "echo", "handler", "password", "register", "+12065550100", "200",
     "no", "[", "]", "{", "}", ":", ",", "- ", "\n", "\n  ", "\n    ", "'", '"', "${A}", "file:", "*x", "&x", "<<",
     "null", "sip_domain", "listen", "tls", "udp:127.0.0.1:5060", "::1", "\t", "#", "expires", "accept_from", "-1"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(ConfigError):
        parse(text, environ={"A": "x"})


@settings(max_examples=200)
@given(st.integers(0, 3000), st.integers(0, 80), WORDS)
def test_no_edit_of_a_good_file_breaks_it(start: int, length: int, word: str) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    start %= len(body)

    with suppress(ConfigError):
        parse(body[:start] + word + body[start + length :], environ={"A": "x"})


STREAMS = """
agents:
  bot: {handler: stream, url: "wss://bot/ws", dialect: twilio, fallback: %s}
  other: {handler: stream, url: "wss://bot/ws", dialect: twilio, fallback: bot}
  echo: {handler: echo}
"""


@pytest.mark.parametrize(
    ("fallback", "why"),
    [
        ("desk", "a.yaml:3: agents.bot.fallback: its fallback desk is no agent"),
        ("bot", "a.yaml:3: agents.bot.fallback: its fallback ends in itself: bot -> bot"),
        ("other", "a.yaml:3: agents.bot.fallback: its fallback ends in itself: bot -> other -> bot"),
    ],
)
def test_a_fallback_is_another_agent(fallback: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(STREAMS % fallback, file="a.yaml")

    assert why in str(error.value)
    assert parse(STREAMS % "echo", file="a.yaml").agents["bot"].options["fallback"] == "echo"


def test_an_agent_calls_through_a_trunk_that_there_is() -> None:
    text = """
trunks: {pbx: {sip_domain: pbx.example.com}}
agents:
  ai: {handler: sip_endpoint, uri: "200", trunk: %s}
  own: {handler: "my_agents:desk", trunk: whatever it means to it}
"""

    assert parse(text % "pbx", file="a.yaml").agents["ai"].options["trunk"] == "pbx"
    with pytest.raises(ConfigError) as error:
        parse(text % "pbk", file="a.yaml")

    assert str(error.value) == "a.yaml:4: agents.ai.trunk: there is no trunk 'pbk'; did you mean pbx?"


def test_what_takes_over_from_a_trunk_is_a_trunk_that_there_is() -> None:
    text = """
trunks:
  pbx: {sip_domain: pbx.example.com, outbound: {failover: %s, identity: asserted, ring_s: 20}}
  backup: {sip_domain: backup.example.com}
"""
    outbound = parse(text % "backup", file="a.yaml").trunks["pbx"].outbound

    assert outbound == OutboundSettings(failover=("backup",), identity="asserted", ring_s=20.0)
    for wrong, why in (
        ("backpu", "outbound.failover.0: there is no trunk 'backpu'; did you mean backup?"),
        ("pbx", "outbound.failover: it names the trunk itself"),
        ("[backup, backup]", "outbound.failover: it names a trunk twice"),
    ):
        with pytest.raises(ConfigError) as error:
            parse(text % wrong, file="a.yaml")
        assert str(error.value) == f"a.yaml:3: trunks.pbx.{why}"


POOLED = """
trunks: {pbx: {sip_domain: a.example, max_calls: 30, calls_per_second: 5}}
numbers:
  +12065550100: {trunk: pbx, outbound_agents: sales, max_calls: 1, calls_per_second: 0.1, calls_per_day: 150}
  +12065550101: {sip_domain: b.example, max_calls: 2}
agents:
  sales: {handler: echo, pool: us, max_calls: 4}
pools:
  us: {strategy: least_recently_used, numbers: [+12065550100, +12065550101]}
limits: {max_calls: 500}
"""


def test_pools_and_limits_are_read_with_what_trunks_numbers_and_agents_say_of_their_own() -> None:
    configuration = parse(POOLED, environ={})

    assert dict(configuration.pools) == {
        "us": PoolSettings("us", ("least_recently_used",), (Member("+12065550100"), Member("+12065550101")))
    }
    assert configuration.limits == LimitSettings(
        whole=Limit(500),
        trunks={"pbx": Limit(30, 5.0)},
        agents={"sales": Limit(4)},
        numbers={"+12065550100": Caps(1, 0.1, 150), "+12065550101": Caps(2)},
    )
    assert configuration.agents["sales"] == AgentSpec("sales", "echo", pool="us", max_calls=4)
    assert list(configuration.trunks) == ["pbx", "+12065550101"]  # a cap alone makes no trunk


def test_a_pool_that_is_not_there_is_told_at_the_agent_that_names_it() -> None:
    assert refusal(POOLED.replace("pool: us", "pool: uss")) == [
        "a.yaml:7: agents.sales.pool: there is no pool 'uss'; did you mean us?"
    ]
