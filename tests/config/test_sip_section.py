from pathlib import Path

import pytest

from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.config.sip_section import SipModel, sip_settings, stranger_settings
from sipflow.net.settings import DnsSettings, ListenAddress, Settings, StreamSettings, TlsSettings
from sipflow.sip.brake import OverloadSettings
from tests.config.sections import section_of, told


def read(text: str, folder: Path = Path()) -> tuple[Settings | None, list[tuple[int, str, str]]]:
    section = section_of(text, folder=folder)
    model = section.validate(SipModel)
    assert model is not None
    return sip_settings(section, model), told(section)


def test_nothing_said_is_the_rooms_own_defaults() -> None:
    assert read("{}") == (Settings(), [])


def test_an_address_with_a_variable_that_is_not_set_is_one_problem_and_no_more() -> None:
    settings, problems = read("listen: ['udp:${NOT_SET}:5060', 'udp:127.0.0.1:5060']")

    assert settings is not None
    assert problems == [(1, "listen", "the environment variable NOT_SET is not set")]


def test_everything_said_is_in_the_settings(tmp_path: Path) -> None:
    for name in ("a.pem", "a.key", "ca.pem", "c.pem", "c.key"):
        (tmp_path / name).write_text("")
    (tmp_path / "a.txt").write_text("open sesame\n")
    settings, problems = read(
        """
        listen: [udp:0.0.0.0:5060, "tls:[::]:5061", tcp:127.0.0.1]
        advertise: {default: 203.0.113.5, tls: "edge.example.com:5061"}
        tls: {certificate: a.pem, key: a.key, ca: ca.pem, verify: no, minimum_version: 1.3,
              client_certificate: c.pem, client_key: c.key, verify_client: yes,
              key_passphrase: file:a.txt, client_key_passphrase: "0042"}
        keepalive_s: 20
        dscp: 24
        udp_buffer_bytes: 65536
        dns: {servers: 10.0.0.53, lookup_s: 1.5}
        streams: {connect_s: 2}
        """,
        tmp_path,
    )

    assert problems == []
    assert settings == Settings(
        listen=(
            ListenAddress("udp", "0.0.0.0", 5060),
            ListenAddress("tls", "::", 5061),
            ListenAddress("tcp", "127.0.0.1", 5060),
        ),
        advertise="203.0.113.5",
        advertise_by_transport={"tls": "edge.example.com:5061"},
        tls=TlsSettings(
            certificate=str(tmp_path / "a.pem"),
            key=str(tmp_path / "a.key"),
            ca=str(tmp_path / "ca.pem"),
            verify=False,
            minimum_version="1.3",
            client_certificate=str(tmp_path / "c.pem"),
            client_key=str(tmp_path / "c.key"),
            verify_client=True,
            key_passphrase="open sesame",
            client_key_passphrase="0042",
        ),
        keepalive_s=20.0,
        dscp=24,
        udp_buffer_bytes=65536,
        dns=DnsSettings(servers=("10.0.0.53",), lookup_s=1.5),
        streams=StreamSettings(connect_s=2.0),
    )


def test_one_advertised_address_is_for_every_transport() -> None:
    settings, _ = read("advertise: edge.example.com:5070")

    assert settings is not None
    assert (settings.advertise, dict(settings.advertise_by_transport)) == ("edge.example.com:5070", {})


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        ("listen: []", 1, "listen", "lists no address"),
        ("listen:\n- udp:127.0.0.1:5060\n- udp:127.0.0.1", 3, "listen.1", "udp:127.0.0.1:5060 is listed twice"),
        (
            "listen: [udp:0.0.0.0, 'udp:[::]', udp:127.0.0.1]",
            1,
            "listen.2",
            "udp:127.0.0.1:5060 and udp:0.0.0.0:5060 are one port: leave one of them out, or give it another",
        ),
        ("listen: sctp:127.0.0.1", 1, "listen.0", "not a listen address: 'sctp:127.0.0.1'"),
        ("listen:\n- udp:localhost:5060", 2, "listen.0", "localhost is not an IP address"),
        ("a: &x 1\nlisten: tls:127.0.0.1", 2, "", "a tls listener needs tls.certificate and tls.key"),
        ("advertise: {udp: 'a b'}", 1, "advertise.udp", "'a b' cannot be used"),
        ("\ntls: {certificate: none.pem}", 2, "tls.certificate", "this file cannot be read: No such file or directory"),
        ("\nkeepalive_s: 0.5", 2, "keepalive_s", "keepalive_s 0.5 is not in 1..3600"),
        ("\ndscp: 64", 2, "dscp", "dscp 64 is not in 0..63"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_at_its_line(text: str, line: int, key: str, why: str) -> None:
    settings, problems = read(text.replace("a: &x 1\n", "\n"))

    assert settings is None
    assert (problems[0][1], why in problems[0][2]) == (key, True)
    assert problems[0][0] == (1 if key == "" else line)


def test_a_user_agent_cannot_smuggle_a_header() -> None:
    section = section_of('user_agent: "a\\r\\nX-Evil: 1"')

    section.validate(SipModel)

    assert [key for _, key, _ in told(section)] == ["user_agent"]


def read_strangers(text: str) -> tuple[StrangerSettings | None, list[tuple[int, str, str]]]:
    section = section_of(text)
    model = section.validate(SipModel)
    assert model is not None
    return stranger_settings(section, model), told(section)


def test_strangers_are_treated_as_the_file_says() -> None:
    assert read_strangers("{}") == (StrangerSettings(), [])
    assert read_strangers("strangers: {never: 10.0.0.0/8, scanners: [abc], shut_out_s: 0}") == (
        StrangerSettings(never=("10.0.0.0/8",), scanners=("abc",), shut_out_s=0.0),
        [],
    )


def test_what_is_wrong_with_strangers_is_told_where_it_stands() -> None:
    assert read_strangers("strangers: {most_users: 0}") == (
        None,
        [(1, "strangers.most_users", "must be at least 1, not 0")],
    )


def test_what_overload_means_is_as_the_file_says() -> None:
    settings, problems = read("overload: {wait_s: 0.3, grace_s: 2}")
    wrong = read("overload:\n  wait_s: 50\n")

    assert settings is not None
    assert (settings.overload, problems) == (OverloadSettings(wait_s=0.3, grace_s=2.0), [])
    assert wrong == (None, [(2, "overload.wait_s", "50 is not in 0.02..30")])
