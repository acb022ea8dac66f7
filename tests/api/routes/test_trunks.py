from typing import Any

import pytest

from sipflow.trunks.snapshot import RegistrationSnapshot
from tests.api.stage import DECLARED_TRUNK, Stage

TRUNK: dict[str, Any] = {
    "name": "carrier",
    "sip_domain": "sip.example.net",
    "username": "alice",
    "password": "a password",
    "auth_username": "alice-auth",
    "outbound_proxy": "sip:10.0.0.5:5065",
    "origination_uri": "sip:203.0.113.5:5060",
    "provider_name": "custom",
    "uac_enabled": True,
    "uac_register_expires": 600,
    "settings": {"transport": "tcp", "region": "US"},
}
OFF = {"state": "off", "why": "this trunk does not register", "until": None, "retry_at": None}


async def test_a_trunk_is_created_and_shown_with_all_but_its_password(api: Stage) -> None:
    api.registrations["carrier"] = RegistrationSnapshot("registering", "the registrar has not answered yet")
    answer = await api.post("/v2/trunks", TRUNK)
    shown = await api.get("/v2/trunks/carrier")

    assert answer == shown
    assert isinstance(shown["response"].pop("created_at"), str)
    assert shown["response"] == {
        **{key: value for key, value in TRUNK.items() if key != "password"},
        "has_password": True,
        "declared": False,
        "updated_at": None,
        "registration": {
            "state": "registering",
            "why": "the registrar has not answered yet",
            "until": None,
            "retry_at": None,
        },
    }
    assert api.directory.trunks["carrier"].password == "a password"


async def test_trunks_are_listed_in_pages_declared_ones_first(api: Stage) -> None:
    await api.post("/v2/trunks", TRUNK)
    await api.post("/v2/custom-numbers", {"phone_number": "+33782990580", "sip_domain": "sip.example.org"})
    answer = (await api.get("/v2/trunks", params={"limit": 2}))["response"]

    assert answer["pagination"] == {"total_records": 3, "limit": 2, "offset": 0}
    assert [(each["name"], each["declared"]) for each in answer["trunks"]] == [("pbx", True), ("carrier", False)]


async def test_a_change_leaves_what_it_does_not_name(api: Stage) -> None:
    await api.post("/v2/trunks", TRUNK)
    answer = await api.patch("/v2/trunks/carrier", {"outbound_proxy": "", "uac_enabled": False})

    changed = {"outbound_proxy": "", "uac_enabled": False, "uac_register_expires": None}
    assert answer["response"] | changed == answer["response"]
    assert (answer["response"]["username"], answer["response"]["has_password"]) == ("alice", True)


async def test_a_trunk_that_a_number_uses_cannot_be_deleted(api: Stage) -> None:
    await api.post("/v2/trunks", TRUNK)
    await api.post("/v2/custom-numbers", {"phone_number": "+33782990580", "trunk": "carrier"})
    used = await api.refused("DELETE", "/v2/trunks/carrier", status=409)
    await api.delete("/v2/numbers/33782990580")

    assert used.startswith("the trunk carrier is used by +33782990580")
    assert await api.delete("/v2/trunks/carrier") == {"status": "ok"}
    assert await api.refused("GET", "/v2/trunks/carrier", status=404) == "there is no trunk 'carrier'"


async def test_the_trunk_that_a_number_brought_along_changes_with_the_number(api: Stage) -> None:
    await api.post("/v2/custom-numbers", {"phone_number": "+33782990580", "sip_domain": "sip.example.org"})
    sentence = await api.refused("PATCH", "/v2/trunks/+33782990580", status=409, json={"sip_domain": "x.example.org"})

    assert sentence == "the trunk +33782990580 belongs to the number +33782990580; change that number"


async def test_a_declared_trunk_is_shown_without_its_password_and_cannot_be_changed(api: Stage) -> None:
    shown = (await api.get(f"/v2/trunks/{DECLARED_TRUNK}"))["response"]
    sentence = await api.refused("PATCH", f"/v2/trunks/{DECLARED_TRUNK}", status=409, json={"sip_domain": "x.org"})

    assert (shown["declared"], shown["has_password"], shown["registration"]) == (True, True, OFF)
    assert "never shown" not in str(shown)
    assert sentence.startswith(f"the trunk {DECLARED_TRUNK} is declared in")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "two words"}, "name: "),
        ({"sip_domain": ""}, "sip_domain: is missing"),
        ({"username": ""}, "username: is missing"),
        ({"settings": {"codec": "PCMU"}}, "codec: a trunk has no such setting"),
        ({"outbound_proxy": "not a proxy at all"}, "outbound_proxy: "),
        ({"uac_register_expires": 5}, "uac_register_expires: "),
    ],
)
async def test_a_wrong_field_is_named(api: Stage, change: dict[str, Any], sentence: str) -> None:
    body = TRUNK | change
    if "sip_domain" in change:
        body.pop("outbound_proxy")

    assert (await api.refused("POST", "/v2/trunks", status=400, json=body)).startswith(sentence)
