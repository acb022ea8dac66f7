"""What went wrong with registrars and providers elsewhere: who is asked what, and whose calls are let in."""

import pytest

from sipflow.calls.routes import NoRoute, Route, Router
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip.admission import Refusal
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.trunks.table import By, TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.test_doorkeeper import GUARDED, Door, invite, proof
from tests.trunks.registrar import SECRET, Play, accept, pbx, quiet, registration, script
from tests.trunks.test_table import account, contact_of, table
from tests.trunks.test_table import invite as dialled

PROVIDER, ELSEWHERE = Hop("udp", "10.0.0.5", 5060), Hop("udp", "198.51.100.77", 5060)


def routed(request: Request, trunk: Trunk, *numbers: Number) -> Route | NoRoute:
    trunks = TrunkTable([trunk], secret=SECRET)
    return Router(trunks, Inventory(numbers)).route(request, trunks.match(request, PROVIDER))


def test_register_request_uri_with_user_part_esphome_95() -> None:
    play = Play(registration(pbx(username="2001", outbound_proxy="10.0.0.5:5080")), accept).start()

    assert [str(plan.uri) for plan in play.plans] == ["sip:pbx.example.com"]


def test_refresh_still_runs_after_answers_that_were_ignored_esphome_105() -> None:
    play = Play(registration(), script(accept, quiet, accept)).start(until=900.0)

    assert play.changes()[0] == (0.0, "registering")
    assert play.changes()[-1][1] == "registered"
    assert len(play.times()) >= 4


def test_registered_but_inbound_from_another_ip_of_the_provider_esphome_104() -> None:
    trunk = account("a")

    match = table(trunk).match(dialled(contact_of(trunk)), ELSEWHERE)  # by the token of our Contact, whoever sends it

    assert (match.trunk, match.by) == (trunk, By.REGISTRATION)


def test_every_address_of_the_registrar_may_call_us_esphome_104() -> None:
    trunk = account("a")
    found = [table(trunk).match(dialled("sip:a-user@edge"), Hop("udp", host, 5060)).trunk for host in
             ("10.0.0.5", "10.0.0.6")]  # fmt: skip

    assert found == [trunk, trunk]


def test_both_hosts_external_invite_from_a_trunk_rustpbx_129() -> None:
    trunk = pbx(name="a", accept_from=Networks(["10.0.0.0/8"]), register=None)
    request = dialled("sip:+12065550100@sip.provider.example", "<sip:+12065550100@voip.example.org>")

    route = routed(request, trunk, Number("+12065550100", inbound_agent="echo"))

    assert isinstance(route, Route)
    assert (route.trunk, route.agent) == (trunk, "echo")


@pytest.mark.parametrize("dialled_as", ["*21#", "*21%23", "#31#", "%2331%23", "**9"])
def test_service_codes_are_not_normalised_as_extensions_esphome_95(dialled_as: str) -> None:
    trunk = pbx(name="a", accept_from=Networks(["10.0.0.0/8"]), register=None, region="US")
    code = dialled_as.replace("%23", "#")
    numbers = (Number(code, inbound_agent="code"), Number("219", inbound_agent="desk"))

    route = routed(dialled(f"sip:{dialled_as}@edge"), trunk, *numbers)

    assert isinstance(route, Route)
    assert (route.number.number, route.agent) == (code, "code")


def test_nonce_reuse_is_no_attack_siphon_ai_430() -> None:
    door = Door(GUARDED)
    challenge = door.knock(invite())
    credentials = proof(challenge)
    assert door.knock(invite(cseq=1, **credentials)) is None

    door.now += 3600.0  # the caller keeps what once worked
    again = door.knock(invite(cseq=2, **credentials))
    assert isinstance(again, Refusal)
    assert again.status == 401
    assert "stale=true" in dict(again.headers)["WWW-Authenticate"]
    assert door.knock(invite(cseq=3, **proof(again))) is None
