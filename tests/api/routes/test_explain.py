"""The question why, over HTTP."""

from typing import Any

import pytest

from sipflow.calls.audio_steps import AudioSteps
from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.explain import Explainer, hop_of, plain_invite
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory, Number
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.api.stage import Stage

NUMBER = "+12065550100"
TRUNK = Trunk("pbx", accept_from=Networks(["10.0.0.0/8", "127.0.0.0/8"]), region="US")


class Everybody:
    def knows(self, agent: str) -> bool:
        return True


def equip(api: Stage) -> None:
    router = Router(TrunkTable([TRUNK], secret=b"s" * 16), Inventory([Number(NUMBER, inbound_agent="desk")]))
    keeper = Doorkeeper(router, Settings(), secret=b"k" * 16, clock=lambda: 0.0)
    api.context.explainer = Explainer(keeper, agents=Everybody(), audio=AudioSteps())


async def asked(api: Stage, **body: str) -> Any:
    equip(api)
    return (await api.post("/v2/explain", body))["response"]


async def test_number_from_an_address_is_explained_step_by_step(api: Stage) -> None:
    found = await asked(api, to="2065550100", from_address="10.0.0.9")

    steps = found.pop("steps")
    assert found == {
        "answered": True,
        "status": 200,
        "why": "agent desk gets the call, and answers it unless its code decides otherwise",
        "trunk": "pbx",
        "number": NUMBER,
        "agent": "desk",
        "codec": "PCMU",
    }
    assert steps[0] == {"part": "trunk", "text": "it came from 10.0.0.0/8, which trunk pbx accepts", "good": True}
    assert steps[-1]["part"] == "answer"


async def test_invite_is_explained_from_its_via_unless_an_address_is_said(api: Stage) -> None:
    text = plain_invite(NUMBER, hop_of("10.0.0.9"), "caller").decode()

    assert (await asked(api, invite=text))["status"] == 200
    assert (await asked(api, invite=text, from_address="tls:198.51.100.7"))["status"] == 403


@pytest.mark.parametrize(("body", "status"), [(r'{"invite": "\ud83d nothing"}', 400), (r'{"to": "\u0000\r\n"}', 200)])
async def test_half_a_character_and_control_characters_are_no_fault_of_ours(api: Stage, body: str, status: int) -> None:
    equip(api)
    headers = {"Content-Type": "application/json"}
    answer = await api.ask("POST", "/v2/explain", status=status, content=body, headers=headers)

    assert status == 400 or answer["response"]["answered"] is False


async def test_number_without_an_address_comes_from_this_machine(api: Stage) -> None:
    assert (await asked(api, to=NUMBER))["status"] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "say one of to, invite and call_id"),
        ({"to": "1", "call_id": "2"}, "say one of to, invite and call_id"),
        ({"to": "1", "from_address": "pbx.example.com"}, "no address that a call can come from"),
    ],
)
async def test_question_that_cannot_be_asked_is_400(api: Stage, body: dict[str, str], words: str) -> None:
    equip(api)

    assert words in await api.refused("POST", "/v2/explain", status=400, json=body)


async def test_without_a_telephone_side_nothing_can_be_explained(api: Stage) -> None:
    for body in ({"to": NUMBER}, {"call_id": "1"}):
        await api.refused("POST", "/v2/explain", status=503, json=body)


async def test_token_needs_to_see_calls(api: Stage) -> None:
    headers = {"Authorization": f"Bearer {await api.token('numbers:read')}"}

    await api.refused("POST", "/v2/explain", status=403, json={"to": NUMBER}, headers=headers)
