"""What `sipflow call` is asked for, and what is wrong with it."""

from pathlib import Path

import pytest

from sipflow.audio.wav import read_wav, wav_header
from sipflow.cli.plan import CallOptions, check_options, make_plan, make_trunk, net_settings, recording
from sipflow.errors import LocalProtocolError
from sipflow.sdp.codecs import CODECS
from sipflow.sip.digest import Account
from sipflow.sip.uri import SipUri

URI = "sip:+12065550100@127.0.0.1:5070"


def options(**changes: object) -> CallOptions:
    return CallOptions(**({"uri": URI} | changes))  # type: ignore[arg-type]


def test_plan_without_a_word_is_an_invite_to_the_uri_from_sipflow() -> None:
    plan = make_plan(options())

    target = SipUri("sip", "+12065550100", None, "127.0.0.1", 5070)
    assert (plan.method, plan.uri, plan.destination, plan.cseq) == ("INVITE", target, target, 1)
    assert plan.from_.uri == SipUri("sip", "sipflow", None, "127.0.0.1")
    assert (plan.to.uri, plan.to.tag, plan.contact_user) == (target, None, "sipflow")
    assert (plan.headers, plan.accounts, plan.routes) == ((), (), ())
    assert plan.from_.tag is not None
    assert len(plan.from_.tag) == 16
    assert plan.call_id == f"{plan.from_.tag}@sipflow"


def test_every_call_has_ids_of_its_own() -> None:
    assert make_plan(options()).call_id != make_plan(options()).call_id


@pytest.mark.parametrize(
    ("caller", "uri"),
    [
        ("alice", "sip:alice@127.0.0.1"),
        ("+12065550111", "sip:+12065550111@127.0.0.1"),
        ("sip:bob@example.com", "sip:bob@example.com"),
        ('"Bob" <sip:bob@example.com>', "sip:bob@example.com"),
    ],
)
def test_caller_is_a_user_part_or_an_address(caller: str, uri: str) -> None:
    plan = make_plan(options(caller=caller))

    assert str(plan.from_.uri) == uri
    assert plan.contact_user == uri[4:].partition("@")[0]


def test_caller_at_an_ipv6_address_stands_in_brackets() -> None:
    assert str(make_plan(options(uri="sip:x@[::1]:5070")).from_.uri) == "sip:sipflow@[::1]"


def test_proxy_is_the_destination_and_the_uri_stays() -> None:
    plan = make_plan(options(uri="sip:2000@pbx.example.com", proxy="10.0.0.5:5065;transport=tcp"))

    assert str(plan.uri) == "sip:2000@pbx.example.com"
    assert str(plan.destination) == "sip:10.0.0.5:5065;transport=tcp"


def test_telephone_number_is_called_through_the_proxy() -> None:
    plan = make_plan(options(uri="tel:+12065550100", proxy="pbx.example.com"))

    assert str(plan.uri) == "sip:+12065550100@pbx.example.com;user=phone"


def test_address_without_a_scheme_is_a_sip_address() -> None:
    assert str(make_plan(options(uri="2000@pbx.example.com")).uri) == "sip:2000@pbx.example.com"


def test_password_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPFLOW_PASSWORD", "open sesame")
    plan = make_plan(options(username="desk"))

    assert plan.accounts == (Account("desk", "open sesame", None),)
    assert "open sesame" not in repr(plan)


def test_headers_are_kept_in_order() -> None:
    assert make_plan(options(headers=("X-B: 1", "X-A:2 : 3 "))).headers == (("X-B", "1"), ("X-A", "2 : 3"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"uri": ""}, "'' is no address to call"),
        ({"uri": "sip:"}, "'sip:' is no address to call"),
        ({"uri": "sip:a b@c"}, "'sip:a b@c' is no address to call"),
        ({"uri": "tel:+12065550100"}, "'tel:+12065550100' cannot be called from here: write sip:user@host, or give"),
        ({"uri": "mailto:a@b"}, "'mailto:a@b' cannot be called from here"),
        ({"uri": "12065550100"}, "'12065550100' is a number and no host: write sip:12065550100@host"),
        ({"caller": "a b"}, "--from 'a b': "),
        ({"proxy": "a b"}, "'a b' cannot be used: "),
        ({"headers": ("X-Order",)}, "--header 'X-Order' is not 'Name: value'"),
        ({"headers": (": 17",)}, "--header ': 17' is not 'Name: value'"),
    ],
)
def test_what_cannot_be_called_is_told(changes: dict[str, object], why: str) -> None:
    with pytest.raises(LocalProtocolError) as error:
        make_plan(options(**changes))

    assert str(error.value).startswith(why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seconds": 0.0}, "--seconds 0 is not a time to wait"),
        ({"seconds": -1.0}, "--seconds -1 is not a time to wait"),
        ({"seconds": float("nan")}, "--seconds nan is not a time to wait"),
        ({"seconds": float("inf")}, "--seconds inf is not a time to wait"),
        ({"ring_s": 0.0}, "--ring-s 0 is not a time to wait"),
        ({"tone_hz": 0}, "--tone 0 is not 1 to 3999 Hz"),
        ({"tone_hz": 4000}, "--tone 4000 is not 1 to 3999 Hz"),
        ({"codecs": ("PCMU", "G729")}, f"--codec 'G729' is none of {', '.join(CODECS)}"),
        ({"srtp": "on"}, "--srtp: 'on' is not one of off, optional, required"),
        ({"srtp": "required", "srtp_keys": "zrtp"}, "--srtp-keys: 'zrtp' is not one of sdes, dtls"),
        ({"digits": "12x"}, "--digits '12x': 'x' is none of 0-9 * # A-D"),
        ({"digits": "٣"}, "--digits '٣': '٣' is none of 0-9 * # A-D"),
        ({"play": Path("no-such.wav")}, "--play no-such.wav cannot be read: No such file or directory"),
        ({"play": Path(__file__)}, f"--play {__file__}: not a WAV file: it begins with "),
    ],
)
def test_options_that_cannot_work_are_told_before_a_telephone_rings(changes: dict[str, object], why: str) -> None:
    with pytest.raises(LocalProtocolError) as error:
        check_options(options(**changes))

    assert str(error.value).startswith(why)


def test_encryption_is_a_trunks_to_decide() -> None:
    trunk = make_trunk(options(srtp="required", srtp_keys="dtls"))

    assert make_trunk(options()) is None
    assert trunk is not None
    assert (trunk.srtp, trunk.srtp_keys) == ("required", "dtls")


def test_options_that_can_work_pass(tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    sound.write_bytes(wav_header(0))

    check_options(options(digits="0123456789*#ABCD", codecs=("PCMA",), play=sound, tone_hz=3999, seconds=0.1))


@pytest.mark.parametrize(
    ("changes", "hosts"),
    [
        ({}, ["0.0.0.0"]),
        ({"uri": "sip:x@[::1]"}, ["0.0.0.0", "::"]),
        ({"proxy": "[::1]:5060"}, ["0.0.0.0", "::"]),
        ({"listen": "127.0.0.1"}, ["127.0.0.1"]),
        ({"listen": "[::1]"}, ["::1"]),
    ],
)
def test_sockets_are_of_the_family_that_is_called(changes: dict[str, object], hosts: list[str]) -> None:
    listen = net_settings(options(**changes)).listen

    assert [(each.transport, each.host, each.port) for each in listen] == [
        (transport, host, 0) for host in hosts for transport in ("udp", "tcp")
    ]


def test_own_address_that_is_none_is_told() -> None:
    with pytest.raises(LocalProtocolError, match=r"^--listen 'eth0' is no IP address of this machine$"):
        net_settings(options(listen="eth0"))


def test_recording_is_whole_even_if_the_call_fails(tmp_path: Path) -> None:
    file = tmp_path / "heard.wav"

    def failing() -> None:
        with recording(file) as writer:
            assert writer is not None
            writer.write(b"\1\0" * 100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert read_wav(file.read_bytes()).pcm == b"\1\0" * 100


def test_recording_into_nowhere_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(LocalProtocolError, match=r"cannot be written: No such file or directory$"),
        recording(tmp_path / "no" / "x"),
    ):
        pass


def test_without_a_file_nothing_is_recorded() -> None:
    with recording(None) as writer:
        assert writer is None
