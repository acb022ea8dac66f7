from dataclasses import replace

import pytest

from sipflow.audio.codecs import libopus
from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.sdp.codecs import CODECS
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.uri import parse_uri
from sipflow.trunks.settings import HealthSettings, RegisterSettings
from sipflow.trunks.trunk import Trunk
from tests.trunks.registrar import SECRET, pbx


def test_the_seven_fields_of_the_form_make_a_trunk() -> None:
    trunk = Trunk(
        name="pbx",
        phone_number="+12065550100",
        sip_domain="pbx.example.com",
        username="2001",
        password="secret",
        outbound_proxy="sip:127.0.0.1:5080;transport=tcp",
        auth_username="2001-auth",
        origination_uri="sip:203.0.113.5:5060",
    )

    assert (trunk.destination, trunk.domain, trunk.aor, trunk.accounts, trunk.advertise, trunk.routes) == (
        parse_uri("sip:127.0.0.1:5080;transport=tcp"),
        parse_uri("sip:pbx.example.com"),
        NameAddr("", parse_uri("sip:2001@pbx.example.com")),
        (Account("2001-auth", "secret", None),),
        "203.0.113.5:5060",
        (),
    )


def test_a_password_is_in_no_repr() -> None:
    trunk = pbx(password="hunter2")

    assert "hunter2" not in repr(trunk) + repr(trunk.accounts)


@pytest.mark.parametrize(
    ("domain", "proxy", "transport", "destination"),
    [
        ("pbx.example.com", "", "", "sip:pbx.example.com"),
        ("pbx.example.com", "", "tls", "sip:pbx.example.com;transport=tls"),
        ("pbx.example.com:5070", "", "tcp", "sip:pbx.example.com:5070;transport=tcp"),
        ("pbx.example.com", "10.0.0.5", "", "sip:10.0.0.5"),
        ("pbx.example.com", "10.0.0.5", "tcp", "sip:10.0.0.5;transport=tcp"),
        ("pbx.example.com", "10.0.0.5;transport=udp", "tcp", "sip:10.0.0.5;transport=udp"),
        ("pbx.example.com", "sips:proxy", "tcp", "sips:proxy"),
        ("pbx.example.com", "<sip:10.0.0.5;lr>", "tcp", "sip:10.0.0.5;transport=tcp"),
        ("", "10.0.0.5:5065", "", "sip:10.0.0.5:5065"),
    ],
)
def test_the_outbound_proxy_overrides_the_domain_as_destination(
    domain: str, proxy: str, transport: str, destination: str
) -> None:
    trunk = pbx(sip_domain=domain, outbound_proxy=proxy, transport=transport)

    assert str(trunk.destination) == destination


def test_a_proxy_written_with_lr_stands_in_a_route() -> None:
    trunk = pbx(outbound_proxy="<sip:10.0.0.5:5065;lr>", transport="tcp")

    assert trunk.routes == ("<sip:10.0.0.5:5065;transport=tcp;lr>",)


def test_without_a_domain_the_proxy_lends_its_host() -> None:
    trunk = pbx(sip_domain="", outbound_proxy="proxy.example.com:5065")

    assert (str(trunk.domain), str(trunk.aor)) == ("sip:proxy.example.com", "<sip:2001@proxy.example.com>")


def test_a_username_is_escaped_where_it_stands_in_a_uri() -> None:
    trunk = pbx(username="alice smith@home")

    assert str(trunk.aor) == "<sip:alice%20smith%40home@pbx.example.com>"
    assert trunk.contact_user == "alice%20smith%40home"
    assert trunk.accounts[0].username == "alice smith@home"


def test_a_trunk_that_only_takes_calls_has_no_destination() -> None:
    trunk = Trunk("carrier", accept_from=Networks(["192.0.2.0/24"]))

    assert (trunk.destination, trunk.domain, trunk.aor, trunk.accounts) == (None, None, None, ())


def test_a_host_name_in_the_origination_uri_is_not_advertised() -> None:
    assert pbx(origination_uri="sip:edge.example.com").advertise == ""
    assert pbx(origination_uri="sip:203.0.113.5", advertise="198.51.100.7").advertise == "198.51.100.7"


def test_the_token_is_stable_and_known_only_to_those_who_know_both_secrets() -> None:
    token = pbx().registration_token(SECRET)

    assert len(bytes.fromhex(token)) == 8
    assert token == pbx(ptime_ms=30, outbound_proxy="10.0.0.5").registration_token(SECRET)
    others = [
        pbx().registration_token(b"another"),
        pbx(password="other").registration_token(SECRET),
        pbx(username="2002").registration_token(SECRET),
        pbx(name="pbx2").registration_token(SECRET),
    ]
    assert len({token, *others}) == 5


def test_codecs_are_written_in_any_case_and_kept_in_their_order() -> None:
    assert pbx(codecs=("OPUS", "g722", "Pcma", "l16/8000")).codecs == ("opus", "G722", "PCMA", "L16/8000")
    assert pbx().codecs == ()


def test_a_codec_whose_software_is_missing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "load", lambda: None)

    with pytest.raises(LocalProtocolError) as caught:
        pbx(codecs=("PCMU", "opus"))

    assert str(caught.value) == "codecs: opus needs libopus: pip install av, or install the system's libopus0"


def test_what_a_registration_does_not_depend_on_leaves_its_key() -> None:
    trunk = pbx()

    same = [replace(trunk, codecs=("PCMA",)), replace(trunk, accept_from=Networks(["10.0.0.0/8"])), pbx(region="US")]
    other = [pbx(password="x"), pbx(sip_domain="b"), pbx(transport="tcp"), pbx(register=RegisterSettings(expires=60))]

    assert [each.registers_as == trunk.registers_as for each in same] == [True] * 3
    assert [each.registers_as == trunk.registers_as for each in other] == [False] * 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "name: a trunk's name has 1 to 64 characters"),
        ({"name": "a\nb"}, "name: it holds a line end or another character that does not print"),
        ({"username": "2001\r\nX: y"}, "username: it holds a line end or another character that does not print"),
        (
            {"phone_number": "2065550100"},
            "phone_number: '2065550100' is not E.164: + and country code, then digits alone, as in +12065550100",
        ),
        (
            {"phone_number": "+1 206 555 0100"},
            "phone_number: '+1 206 555 0100' is not E.164: + and country code, then digits alone, as in +12065550100",
        ),
        (
            {"codecs": ("PCMU", "G.722")},
            f"codecs: 'G.722' is unknown, did you mean G722? There are {', '.join(CODECS)}",
        ),
        ({"codecs": ("ops",)}, f"codecs: 'ops' is unknown, did you mean opus? There are {', '.join(CODECS)}"),
        ({"codecs": ("x" * 99,)}, f"codecs: '{'x' * 40}' is unknown. There are {', '.join(CODECS)}"),
        ({"ptime_ms": 0}, "ptime_ms: 0 is not one of 10, 20, 30, 40, 50, 60"),
        ({"srtp": "on"}, "srtp: 'on' is not one of off, optional, required"),
        ({"srtp_keys": "zrtp"}, "srtp_keys: 'zrtp' is not one of sdes, dtls"),
        ({"dtmf": "rfc2833"}, "dtmf: 'rfc2833' is not one of auto, rfc4733, info, inband"),
        (
            {"srtp_suites": ("NULL_CIPHER",)},
            "srtp_suites: 'NULL_CIPHER' is unknown; choose from AES_CM_128_HMAC_SHA1_80, AEAD_AES_256_GCM, "
            "AES_256_CM_HMAC_SHA1_80, AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_32, AES_256_CM_HMAC_SHA1_32",
        ),
        ({"transport": "ws"}, "transport: 'ws' is not one of udp, tcp, tls"),
        ({"username": "", "register": None}, "password: it is set without username; set username too"),
        (
            {"auth_username": "a", "password": ""},
            "auth_username: it is set without password; set password too",
        ),
        ({"username": "", "password": ""}, "register: to register, a trunk needs a username"),
        ({"sip_domain": ""}, "register: it needs a far end; set sip_domain, or outbound_proxy"),
        (
            {"sip_domain": "", "register": None, "health": HealthSettings()},
            "health: it needs a far end; set sip_domain, or outbound_proxy",
        ),
        (
            {"sip_domain": "", "register": None},
            "sip_domain: no call can reach or leave this trunk; set it, or accept_from",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_name(fields: dict[str, object], message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        pbx(**fields)

    assert str(caught.value) == message


@pytest.mark.parametrize("field", ["sip_domain", "outbound_proxy", "origination_uri", "advertise"])
def test_a_wrong_address_is_refused_by_the_name_of_its_field(field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        pbx(**{field: "1:2:3"})

    assert str(caught.value).startswith(f"{field}: '1:2:3' cannot be used: it is not a host or host:port (write ")
