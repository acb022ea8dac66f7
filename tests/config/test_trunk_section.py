import pytest

from sipflow.config.trunk_section import TRUNK_KEYS, TrunkModel, make_trunk
from sipflow.net.acl import Networks
from sipflow.trunks.settings import HealthSettings, InboundAuth, RegisterSettings
from sipflow.trunks.trunk import Trunk
from tests.config.sections import section_of, told

ACCOUNT = "sip_domain: pbx.example.com\nusername: '2001'\npassword: geheim\n"


def read(text: str) -> Trunk | None:
    section = section_of(text)
    model = section.validate(TrunkModel)
    assert model is not None
    trunk = make_trunk(section, model, name="pbx", phone_number="")
    assert told(section) == []
    return trunk


def problems(text: str) -> list[tuple[int, str, str]]:
    section = section_of(text)
    model = section.validate(TrunkModel)
    assert model is not None
    assert make_trunk(section, model, name="pbx", phone_number="") is None or section.problems.found
    return told(section)


def test_every_field_of_a_trunk_can_be_said() -> None:
    assert read(
        """
        sip_domain: pbx.example.com
        outbound_proxy: sip:127.0.0.1:5080;transport=tcp
        username: 0123
        auth_username: 2001-auth
        password: geheim
        origination_uri: sip:203.0.113.5:5060
        advertise: 203.0.113.6
        transport: TCP
        register: {expires: 600, first_retry_s: 1}
        accept_from: [127.0.0.0/8, "::1"]
        authenticate_inbound: {username: in, password: out, realm: edge, algorithms: [sha-256]}
        health: {interval_s: 10, misses: 3}
        codecs: [Opus, g722, pcma, PCMU]
        ptime_ms: 30
        srtp: Required
        srtp_keys: dtls
        srtp_suites: [aead_aes_256_gcm, AES_CM_128_HMAC_SHA1_80]
        dtmf: INFO
        prack: false
        region: de
        realm: asterisk
        allow_md5: false
        """
    ) == Trunk(
        "pbx",
        sip_domain="pbx.example.com",
        outbound_proxy="sip:127.0.0.1:5080;transport=tcp",
        username="0123",
        auth_username="2001-auth",
        password="geheim",
        origination_uri="sip:203.0.113.5:5060",
        advertise="203.0.113.6",
        transport="tcp",
        register=RegisterSettings(expires=600, first_retry_s=1.0),
        accept_from=Networks(["127.0.0.0/8", "::1"]),
        inbound_auth=InboundAuth("edge", "in", "out", ("SHA-256",)),
        health=HealthSettings(10.0, 3),
        codecs=("opus", "G722", "PCMA", "PCMU"),
        ptime_ms=30,
        srtp="required",
        srtp_keys="dtls",
        srtp_suites=("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"),
        dtmf="info",
        prack=False,
        region="DE",
        realm="asterisk",
        allow_md5=False,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ACCOUNT, RegisterSettings()),
        (ACCOUNT + "register: true", RegisterSettings()),
        (ACCOUNT + "register:", RegisterSettings()),
        (ACCOUNT + "register: {expires: 60}", RegisterSettings(expires=60)),
        (ACCOUNT + "register: {enabled: false, expires: 60}", None),
        (ACCOUNT + "register: false", None),
        (ACCOUNT + "register: no", None),
        ("sip_domain: pbx.example.com\nusername: '2001'\n", None),
        ("accept_from: 127.0.0.1", None),
    ],
)
def test_an_account_registers_unless_told_not_to(text: str, expected: RegisterSettings | None) -> None:
    trunk = read(text)

    assert trunk is not None
    assert trunk.register == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("health: false", None),
        ("health: true", HealthSettings()),
        ("health: {interval_s: 60}", HealthSettings(interval_s=60.0)),
    ],
)
def test_health_is_asked_for_when_told_to(text: str, expected: HealthSettings | None) -> None:
    trunk = read("sip_domain: pbx.example.com\n" + text)

    assert trunk is not None
    assert trunk.health == expected


def test_inbound_callers_prove_the_trunks_own_account_unless_there_is_another() -> None:
    for text, expected in (
        ("authenticate_inbound: true", InboundAuth("pbx.example.com", "2001", "geheim")),
        ("authenticate_inbound: true\nrealm: r", InboundAuth("r", "2001", "geheim")),
        ("authenticate_inbound: {username: a, password: b}", InboundAuth("pbx.example.com", "a", "b")),
        ("authenticate_inbound: false", None),
    ):
        trunk = read(ACCOUNT + text)
        assert trunk is not None
        assert trunk.inbound_auth == expected


def test_every_wrong_field_is_told_at_its_own_line() -> None:
    found = problems(
        "sip_domain: a b\n"
        "outbound_proxy: sip:u@b\n"
        "origination_uri: '??'\n"
        "advertise: x y\n"
        "transport: sctp\n"
        "codecs: [opus, G729]\n"
        "ptime_ms: 7\n"
        "register: {expires: 5}\n"
        "health: {interval_s: 1}\n"
        "accept_from: [10.0.0.1/8, host]\n"
        "username: a\n"
        "region: usa\n"
        "srtp_suites: [NULL_CIPHER, AES_CM_128_HMAC_SHA1_80]\n"
    )

    assert sorted((line, key) for line, key, _ in found) == [
        (1, "sip_domain"),
        (2, "outbound_proxy"),
        (3, "origination_uri"),
        (4, "advertise"),
        (5, "transport"),
        (6, "codecs"),
        (7, "ptime_ms"),
        (8, "register.expires"),
        (9, "health.interval_s"),
        (10, "accept_from.0"),
        (10, "accept_from.1"),
        (12, "region"),
        (13, "srtp_suites"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        ("sip_domain: a\npassword: geheim", 2, "password", "it is set without username; set username too"),
        ("sip_domain: a\nregister: true", 2, "register", "to register, a trunk needs a username"),
        ("username: a", 1, "sip_domain", "no call can reach or leave this trunk; set it, or accept_from"),
        ("accept_from: 10.0.0.1\nhealth: yes", 2, "health", "it needs a far end; set sip_domain, or outbound_proxy"),
        ("sip_domain: a\nauthenticate_inbound: yes", 2, "authenticate_inbound",
         "needs a username and a password, its own or the trunk's"),
        ("sip_domain: a\naccept_from: 10.0.0.1/8", 2, "accept_from.0",
         "not a network: '10.0.0.1/8' has bits set behind its mask; did you mean 10.0.0.0/8?"),
    ],
)  # fmt: skip
def test_what_cannot_work_together_is_told(text: str, line: int, key: str, why: str) -> None:
    assert problems(text) == [(line, key, why)]


def test_encryption_may_be_written_off_without_quotes() -> None:
    trunk = read(ACCOUNT + "srtp: off\n")

    assert trunk is not None
    assert trunk.srtp == "off"


@pytest.mark.parametrize(("key", "word"), [("srtp", "yes"), ("srtp_keys", "zrtp"), ("dtmf", "rfc2833")])
def test_a_word_that_is_none_of_those_to_choose_from_is_told(key: str, word: str) -> None:
    section = section_of(f"{ACCOUNT}{key}: {word}\n")
    section.validate(TrunkModel)
    ((line, told_key, why),) = told(section)

    assert (line, told_key) == (4, key)
    assert "must be" in why


def test_an_unknown_digest_algorithm_is_told_at_its_key() -> None:
    ((line, key, why),) = problems("sip_domain: a\nauthenticate_inbound: {username: b, password: c, algorithms: X}")

    assert (line, key) == (2, "authenticate_inbound.algorithms")
    assert why.startswith("'X' is unknown; choose from ")


def test_the_vocabulary_of_a_trunk_is_the_users() -> None:
    assert sorted(TRUNK_KEYS) == [
        "accept_from",
        "advertise",
        "allow_md5",
        "auth_username",
        "authenticate_inbound",
        "carry",
        "codecs",
        "dtmf",
        "headers",
        "health",
        "origination_uri",
        "outbound",
        "outbound_proxy",
        "password",
        "prack",
        "profile",
        "ptime_ms",
        "realm",
        "refer",
        "region",
        "register",
        "session_timer",
        "sip_domain",
        "srtp",
        "srtp_keys",
        "srtp_suites",
        "transport",
        "username",
    ]
