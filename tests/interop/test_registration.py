"""sipflow as a user of somebody else's registrar, through an outbound proxy, for a domain that no DNS knows."""

import re
import time
from pathlib import Path

import pytest

from tests.interop.daemon import Daemon
from tests.interop.kamailio import DOMAIN, Kamailio
from tests.net.certificates import Certificates

_UNTOUCHED_S = 2.0  # how long a registrar that has refused us must be left alone here; in truth it is minutes
_STARTS = 3  # the greeting does not wait for a registrar that is slow, or seems so on a machine that stalls


def registered_daemon(folder: Path, pbx: Kamailio, ca: str, accounts: dict[str, str]) -> Daemon:
    """A daemon with a trunk, named after its transport, for each account."""
    trunks = {transport: pbx.trunk(account, transport) for account, transport in accounts.items()}
    numbers = {"+12065550101": {"trunk": next(iter(trunks)), "inbound_agent": "echo"}}
    return Daemon(folder, tls={"ca": ca}, trunks=trunks, numbers=numbers)


@pytest.mark.parametrize(
    ("transport", "written"), [("udp", "127.0.0.1:{port}"), ("tcp", "<{uri};lr>"), ("tls", "{uri}")]
)
def test_a_trunk_registers_through_its_outbound_proxy_and_leaves_when_the_daemon_ends(
    transport: str, written: str, pbx: Kamailio, certificates: Certificates, tmp_path: Path
) -> None:
    daemon = registered_daemon(tmp_path, pbx, certificates.ca, {"2001": transport})
    trunk = daemon.configuration["trunks"][transport]
    trunk["outbound_proxy"] = written.format(port=pbx.port, uri=pbx.proxy(transport))
    with daemon:
        (binding,) = pbx.wait_registered("2001")
        daemon.wait_said(f"^trunk {transport}: registered at 127.0.0.1 as 2001 for 300 s")

        assert re.fullmatch(
            r"sip:2001@127\.0\.0\.1(:[0-9]+)?(;transport=(tcp|tls))?;line=[0-9a-f]{16}", binding.contact
        )
        assert (f";transport={transport}" in binding.contact) == (transport != "udp")
        # RFC 3261 §10.2: the Request-URI is the domain, with nothing before the @, wherever the request is sent.
        assert pbx.seen(rf"saw REGISTER sip:{DOMAIN} for 2001 over {transport} ")

        assert daemon.program.terminate() == 0
        assert daemon.said("un-registered")
    assert pbx.bindings("2001") == []


def test_the_greeting_says_which_trunks_are_registered(
    pbx: Kamailio, certificates: Certificates, tmp_path: Path
) -> None:
    registered = [("udp", "registered at"), ("tcp", "registered at"), ("tls", "registered at")]
    daemon = registered_daemon(tmp_path, pbx, certificates.ca, {"2001": "udp", "2002": "tcp", "2003": "tls"})
    for _ in range(_STARTS):
        with daemon:
            greeting = daemon.greeting
        daemon.program.log.unlink()
        if (told := re.findall(r"trunk (\w+): (registered at|\w+)", greeting)) == registered:
            break

    assert told == registered, greeting


def test_a_certificate_of_an_unknown_authority_stops_the_registration_in_words(
    pbx: Kamailio, certificates: Certificates, tmp_path: Path
) -> None:
    with registered_daemon(tmp_path, pbx, certificates.other_ca, {"2001": "tls"}) as daemon:
        (line, *_) = daemon.wait_said("^trunk tls: .*TLS to 127.0.0.1")

    assert re.search(rf"TLS to 127\.0\.0\.1:{pbx.tls_port} failed: we do not trust the authority", line["event"])
    assert line["level"] == "warning"
    assert pbx.bindings("2001") == []


def test_a_certificate_for_another_host_stops_the_registration_in_words(
    certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "pbx").mkdir()
    with (
        Kamailio(tmp_path / "pbx", certificates, certificate=certificates.other_host) as stranger,
        registered_daemon(tmp_path, stranger, certificates.ca, {"2001": "tls"}) as daemon,
    ):
        (line, *_) = daemon.wait_said("^trunk tls: .*TLS to 127.0.0.1")

        assert re.search(rf"TLS to 127\.0\.0\.1:{stranger.tls_port} failed: its certificate does not", line["event"])
        assert stranger.seen("REGISTER") == []


def test_a_registrar_that_refuses_is_told_in_words_and_left_alone(pbx: Kamailio, tmp_path: Path) -> None:
    barred = pbx.trunk("barred", "udp")
    mistyped = {**pbx.trunk("2004", "tcp"), "password": "wrong"}
    with Daemon(tmp_path, trunks={"pbx": barred, "other": mistyped}, numbers={}) as daemon:
        (forbidden,) = daemon.wait_said("^trunk pbx: 403")
        (unauthorized,) = daemon.wait_said("^trunk other: 401")
        time.sleep(_UNTOUCHED_S)  # that nothing happens shows only in time

        assert re.match(
            r"trunk pbx: 403 Forbidden from 127\.0\.0\.1 to REGISTER as barred.*: check username and password",
            forbidden["event"],
        )
        assert re.match(
            rf"trunk other: 401 Unauthorized from 127\.0\.0\.1 to REGISTER as 2004 \(realm {DOMAIN}\): "
            "check username, auth_username and password",
            unauthorized["event"],
        )
        assert len(pbx.seen("saw REGISTER .* for barred ")) == 1
        assert len(pbx.seen("saw REGISTER .* for 2004 over tcp")) == 2  # without proof, then with the wrong one
